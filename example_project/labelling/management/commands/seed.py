"""``manage.py seed``: people, projects and texts to play with. Running it again changes nothing."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.db import transaction

from example_project.labelling.models import Project, Team, TextTask

SENTIMENT: Final = [
    "The parcel came a day early and everything was in it. Lovely.",
    "I have been on hold for forty minutes.",
    "It does what it says on the box.",
    "Second replacement, same rattle. I give up.",
    "My daughter won't put it down!",
    "Delivery was fine, packaging a bit much.",
    "The app logs me out every single time.",
    "Thank you, Ana from support, you saved my week.",
    "Colour is darker than in the pictures, still nice.",
    "Charged twice, refunded after three mails.",
    "Works with my old cable. Didn't expect that.",
    "The manual is only in a language I don't read.",
    "Five stars for the smell of the paper alone.",
    "It arrived.",
    "I would buy it again tomorrow.",
    "The handle broke on day two.",
    "Quiet, small, warm. Perfect.",
    "Please stop sending me surveys.",
    "Exactly like the last one, which is what I wanted.",
    "Not worth the wait.",
]
TOPICS: Final = [
    "How do I change the address of my last order?",
    "The invoice of May is missing the VAT number.",
    "My password reset link has expired.",
    "Can I return shoes that I wore once?",
    "You billed me for the annual plan by mistake.",
    "The courier left the parcel with a neighbour I don't know.",
    "I can't log in from my new phone.",
    "Where is my order?",
]


class Command(BaseCommand):
    help = "Make people, projects and texts to play with (customer/customer, admin/admin)."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        customer = self._user("customer")
        self._user("admin", is_staff=True, is_superuser=True)
        team, _ = Team.objects.get_or_create(name="Northwind Labels")
        team.managers.add(customer)
        self._project(
            team,
            "Customer feedback",
            "How does the writer feel?",
            ["positive", "neutral", "negative"],
            SENTIMENT,
        )
        self._project(
            team, "Support tickets", "What is this about?", ["order", "billing", "login", "other"], TOPICS
        )
        self.stdout.write("Logins: customer/customer, and admin/admin for /admin/.")

    def _user(self, name: str, **values: Any) -> User:
        user, created = User.objects.get_or_create(
            username=name, defaults={"email": f"{name}@northwind.example", **values}
        )
        if created:
            user.set_password(name)
            user.save()
        return user

    def _project(self, team: Team, name: str, question: str, choices: list[str], texts: list[str]) -> None:
        project, created = Project.objects.get_or_create(
            team=team, name=name, defaults={"question": question, "choices": choices}
        )
        if created:
            TextTask.objects.bulk_create([TextTask(project=project, text=text) for text in texts])

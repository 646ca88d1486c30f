"""A Label Studio with an owner, a member, two projects and work in both; the first project is linked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.test import Client

from django_opentrain.adapters.label_studio import model
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain

CONFIG = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="kind" toName="text" choice="multiple"><Choice value="a"/><Choice value="b"/></Choices>
</View>
"""
#: What a closed door must not change.
COUNTED = (
    "projects.Project",
    "tasks.Task",
    "tasks.Annotation",
    "tasks.AnnotationDraft",
    "tasks.Prediction",
    "data_manager.View",
    "webhooks.Webhook",
    "users.User",
    "organizations.Organization",
    "ml.MLBackend",
)


def make_owner(name: str) -> Any:
    """A user who signed up, with an organization of their own."""
    owner = model("users.User").objects.create(email=f"{name}@site.example", username=name)
    organization = model("organizations.Organization").create_organization(
        created_by=owner, title=name, legacy_api_tokens_enabled=True
    )
    owner.active_organization = organization
    owner.save()
    return owner


def make_member(organization: Any, email: str) -> Any:
    """A user whom the owner has invited."""
    member = model("users.User").objects.create(email=email, active_organization=organization)
    organization.add_user(member)
    return member


def make_project(owner: Any, title: str) -> Any:
    """A project as its page makes it."""
    return model("projects.Project").objects.create(
        title=title, organization=owner.active_organization, created_by=owner, label_config=CONFIG
    )


def choice(number: str) -> dict[str, Any]:
    """One label, as Label Studio's editor sends it."""
    return {
        "id": number,
        "type": "choices",
        "from_name": "kind",
        "to_name": "text",
        "value": {"choices": ["a"]},
    }


def browser_of(user: Any) -> Client:
    """A browser with a session of ``user``, however they signed in."""
    browser = Client()
    browser.force_login(user)
    session = browser.session
    # A session without it is too old.
    session["last_login"] = time.time()
    session.save()
    browser.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)
    return browser


def keys_of(browser: Client) -> Mapping[str, Mapping[str, str]]:
    """The headers of both kinds of API tokens of the user who is signed in."""
    token = browser.get("/api/current-user/token").json()["token"]
    refresh = browser.post("/api/token/").json()["token"]
    access = Client().post("/api/token/refresh/", {"refresh": refresh}).json()["access"]
    return {
        "legacy token": {"Authorization": f"Token {token}"},
        "JWT": {"Authorization": f"Bearer {access}"},
    }


class Site:
    """The organization ``acme``, whose project ``own`` is linked; ``other`` is not."""

    def __init__(self, opentrain: OpenTrain) -> None:
        self.opentrain = opentrain
        self.owner = make_owner("acme")
        self.organization = self.owner.active_organization
        self.member = make_member(self.organization, "member@site.example")
        self.own, self.task, self.annotation, self.draft, self.tab = self._project("Invoices")
        self.other, self.other_task, self.other_annotation, self.other_draft, self.other_tab = self._project(
            "Street signs"
        )
        self.second = model("tasks.Task").objects.create(
            project=self.own, data={"text": "Invoice 18"}, overlap=9
        )
        self.webhook = model("webhooks.Webhook").objects.create(
            organization=self.organization, project=self.own, url="https://acme.example/hook", is_active=False
        )
        self.trainer: Any = None
        self.anonymous = Client()
        opentrain.connect(str(self.organization.pk))
        opentrain.link(str(self.own.pk))

    def _project(self, title: str) -> tuple[Any, ...]:
        project = make_project(self.owner, title)
        task = model("tasks.Task").objects.create(project=project, data={"text": "Invoice 17"}, overlap=9)
        work = {"task": task, "result": [choice("1")]}
        annotation = model("tasks.Annotation").objects.create(
            **work, project=project, completed_by=self.owner
        )
        draft = model("tasks.AnnotationDraft").objects.create(**work, user=self.owner)
        tab = model("data_manager.View").objects.create(
            project=project, user=self.owner, data={"title": "All"}
        )
        return project, task, annotation, draft, tab

    def hire(self, **options: Any) -> Hire:
        """A trainer for the linked project, who has access."""
        hire = self.opentrain.hire(**options)
        self.opentrain.run()
        if hire.grant.host_user_ref:
            self.trainer = self.user_of(hire)
        return hire

    def user_of(self, hire: Hire) -> Any:
        """The trainer's user."""
        return model("users.User").objects.get(pk=hire.grant.host_user_ref)

    def browser_of(self, user: Any) -> Client:
        """A browser with a session of this user."""
        return browser_of(user)

    def keys(self, user: Any, browser: Client) -> Mapping[str, Mapping[str, str]]:
        """The headers of both kinds of API tokens."""
        return keys_of(browser)

    def fill(self, text: Any) -> Any:
        """``{own}`` and the like replaced by the ids of what there is, in all of a request's data."""
        if isinstance(text, str):
            ids = {name: getattr(each, "pk", None) for name, each in vars(self).items()}
            return text.format(**ids) if "{" in text else text
        if isinstance(text, dict):
            return {key: self.fill(value) for key, value in text.items()}
        return [self.fill(each) for each in text] if isinstance(text, list) else text

    def rows(self) -> list[Any]:
        """How many there are of each kind, and what the linked project is called."""
        counts = [model(name).objects.count() for name in COUNTED]
        return [
            *counts,
            model("projects.Project").objects.filter(pk=self.own.pk).values_list("title").first(),
        ]

    def undone(self, call: Callable[[], Any]) -> int:
        """The status of the answer to a call, whose changes are rolled back."""
        with transaction.atomic():
            status: int = call().status_code
            transaction.set_rollback(True)
        return status

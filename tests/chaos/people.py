"""The customers of a run: their teams and projects here, their organizations and jobs on OpenTrain."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.contrib.auth.models import User

from example_project.demo.opentrain import OpenTrain
from example_project.labelling.models import Project, Team

CUSTOMERS = 4
PROJECTS = 3


@dataclass
class Hiring:
    """A hired trainer, as the runner remembers them."""

    contract: str
    trainer: str
    job: str
    has_email: bool


@dataclass
class Customer:
    """One customer on both sides."""

    name: str
    user: User
    tenant: str
    organization: str
    projects: list[str]
    jobs: list[str]
    #: The newest grant on OpenTrain, and its token, which was shown once.
    install: str = ""
    token: str = ""
    hirings: list[Hiring] = field(default_factory=list)


def make_customers(opentrain: OpenTrain) -> list[Customer]:
    """Several customers with a team and projects of their own, not connected yet."""
    return [_make_customer(opentrain, f"customer{number}") for number in range(CUSTOMERS)]


def _make_customer(opentrain: OpenTrain, name: str) -> Customer:
    user = User.objects.create(username=name)
    team = Team.objects.create(name=name)
    team.managers.add(user)
    projects = [Project.objects.create(team=team, name=f"{name} {n}") for n in range(PROJECTS)]
    organization = opentrain.do("create_organization", name=name)["organization"]["id"]
    kinds = ["PAY_PER_HOUR", "PAY_PER_LABEL", "FIXED_PRICE"]
    jobs = [
        opentrain.do("create_job", title=f"{name} {kind}", organizationId=organization, paymentType=kind)
        for kind in kinds[:PROJECTS]
    ]
    return Customer(
        name=name,
        user=user,
        tenant=str(team.pk),
        organization=organization,
        projects=[str(project.pk) for project in projects],
        jobs=[job["job"]["id"] for job in jobs],
    )

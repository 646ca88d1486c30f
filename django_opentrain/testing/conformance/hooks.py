"""What the checks have to know of a host."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import pytest
from django.apps import apps
from django.contrib.auth.base_user import AbstractBaseUser

from django_opentrain.adapters import OpenTrainAdapter, get_adapter
from django_opentrain.adapters.addresses import model
from django_opentrain.models import AccessGrant
from django_opentrain.testing.kit import OpenTrain
from django_opentrain.user_model import user_model

#: With which the one who signed up logs in.
STRANGERS_PASSWORD: Final = "the stranger's own"  # noqa: S105 - of tests


class AdapterHooks:
    """Override these; make the projects in an autouse fixture, which may set the ids on ``self``."""

    #: A customer of the host, as ``get_tenant`` would name them.
    tenant: str = "acme"
    #: Two projects of that customer.
    project_id: str
    other_project_id: str
    #: A customer to whom neither belongs; one that ``get_tenant`` could name.
    other_tenant: str = "another customer"
    #: The totals that the host counts, of ``DayUsage``'s.
    totals: tuple[str, ...] = ("total_seconds", "tasks_completed", "labels_completed")

    def can_enter(self, grant: AccessGrant) -> bool:
        """Whether the grant's trainer gets into the grant's project, right now.

        As a person would find out: log in as ``grant.host_user_ref`` (empty or gone: no one gets in) and open the
        project's page.
        """
        raise NotImplementedError("Say in can_enter() how to see whether a trainer gets into a project.")

    def do_work(self, grant: AccessGrant, at: datetime, *, seconds: int, tasks: int, labels: int) -> None:
        """Let the grant's trainer do so much in the grant's project, at ``at``: the current time.

        Leave it out when the site calls ``services.usage`` itself.
        """
        pytest.skip("do_work() is not overridden: the site doesn't collect usage by its adapter")

    def sign_up(self, email: str) -> AbstractBaseUser:
        """An account of the site as a stranger gets it who signs up with ``email``: nothing of it is verified.

        Override it where your user model requires more, or where an account is more than its row.
        """
        users = user_model()
        user = users(**{users.get_email_field_name(): email, users.USERNAME_FIELD: email})
        user.set_password(STRANGERS_PASSWORD)
        user.save()
        if apps.is_installed("allauth.account"):
            model("account.EmailAddress")._default_manager.create(user=user, email=email, primary=True)
        return user

    # What the checks share ------------------------------------------------------------------------

    @pytest.fixture
    def adapter(self) -> OpenTrainAdapter:
        """The site's adapter."""
        return get_adapter()

    @pytest.fixture
    def linked(self, opentrain: OpenTrain) -> OpenTrain:
        """The customer is connected, and has linked ``project_id``."""
        opentrain.connect(self.tenant)
        opentrain.link(self.project_id)
        return opentrain

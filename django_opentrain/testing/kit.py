"""The test kit: OpenTrain, simulated by the sandbox in this process, connected to the site under test.

No network, no Celery, no waiting: webhooks come signed through the site's own receiver view, and what the workers
would do is done by :meth:`OpenTrain.run`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from datetime import timezone as tz
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone

from django_opentrain.clients import shared_session
from django_opentrain.conf import SETTING, conf
from django_opentrain.models import Contract, Install, ProjectLink
from django_opentrain.platform.catalog import SECONDS_PER_DAY
from django_opentrain.sandbox import Readings, Sandbox
from django_opentrain.sandbox.lookup import find
from django_opentrain.sandbox.models import Freelancer, Job, Organization
from django_opentrain.services import connect, linking, sweep, usage
from django_opentrain.testing import first_login
from django_opentrain.testing.environment import StoppedClock, committing, django_clock, forced_settings
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.receiver import TestClientSender

if TYPE_CHECKING:
    from typing_extensions import Self

#: Rounds of deliveries and work after which something keeps setting itself off.
MAX_ROUNDS: Final = 50
#: The title of the first job of each customer.
DEFAULT_JOB: Final = "Label data"
#: API calls that change something.
CHANGING: Final = "(POST|PATCH|DELETE) .*"


class StillBusy(AssertionError):  # noqa: N818 - says the condition
    """There was still something to do after ``MAX_ROUNDS`` rounds."""


class OpenTrain:
    """OpenTrain, its customers and its trainers, for one test.

    A context manager; in pytest it is the fixture ``opentrain``.

    What happens on OpenTrain (``hire``, ``end``, ``fund``, ``disconnect``) reaches the site with the next ``run()``
    or ``deliver()``. While it is in use: Celery is left alone, no call is tried again at once, and
    ``django.utils.timezone.now()`` stands still at noon (UTC) of the present day until ``travel()``.
    """

    def __init__(self, readings: Readings | None = None) -> None:
        if not settings.USE_TZ:
            # A test runner with pytest runs no system checks.
            raise ImproperlyConfigured(
                "django_opentrain doesn't work with USE_TZ = False: see E026 in docs/reference/checks.md."
            )
        # Not the hour at which it runs: what ends at midnight would differ from run to run.
        noon = timezone.now().astimezone(tz.utc).replace(hour=12, minute=0, second=0, microsecond=0)
        self.clock = StoppedClock(noon.timestamp())
        self._sender = TestClientSender()
        #: The sandbox, with more verbs; its ``calls`` are the API calls that the site made.
        self.sandbox = Sandbox(
            conf.base_url,
            clock=self.clock,
            sender=self._sender,
            app_slug=conf.app_slug,
            redirect_uris=[conf.public_url],
            readings=readings,
        )
        self.sandbox.set_app(scopes=conf.scopes)
        self._organizations: dict[str, Organization] = {}
        self._install: Install | None = None
        self._job: Job | None = None
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        session = shared_session()
        before = dict(session.adapters)
        self.sandbox.mount(session)
        self._exit.callback(self.sandbox.close)
        self._exit.callback(_restore, session.adapters, before)
        self._exit.enter_context(forced_settings(self._settings()))
        self._exit.enter_context(django_clock(self.clock))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def _settings(self) -> dict[str, Any]:
        forced = {"DISPATCH": "none", "MAX_RETRIES": 0, "BASE_URL": self.sandbox.base_url}
        if not getattr(settings, SETTING, {}).get("ENCRYPTION_KEYS"):
            # A site that takes its keys from the environment has none where it is tested.
            forced["ENCRYPTION_KEYS"] = [Fernet.generate_key().decode()]
        return forced

    # What customers do --------------------------------------------------------------------------

    def connect(self, tenant: str = "acme", scopes: Sequence[str] | None = None, pii: bool = True) -> Install:
        """The customer approves, pastes the token, and the site does what follows from it.

        Again for the same tenant is a reconnect. ``scopes``: those granted; all that the site asks for when None.
        """
        approval = self.sandbox.approve(
            organization_id=self._organization(tenant).id, scopes=scopes, pii_consent=pii
        )
        pending = Install.objects.create(
            tenant=tenant, expected_id=approval.install.id, app_slug=conf.app_slug
        )
        with committing():
            self._install = connect.capture_token(pending, approval.token)
        self.run()
        self._install.refresh_from_db()
        return self._install

    def link(
        self, project_id: str, job: str | None = None, *, install: Install | None = None, **values: Any
    ) -> ProjectLink:
        """Link a project to a job: by its id, or by its title (it is made when the customer has none of that name).

        ``values`` go to ``services.linking.link``. Without an install: of the one connected last.
        """
        owner = install or self._connected()
        self._job = self._find_job(job, owner.tenant)
        with committing():
            return linking.link(owner, project_id, job_id=self._job.id, **values)

    def disconnect(self, install: Install | None = None) -> None:
        """The customer disconnects on OpenTrain."""
        self.sandbox.disconnect((install or self._connected()).opentrain_id)

    def hire(
        self,
        name: str = "Maria S.",
        *,
        work_email: str | None = "now",
        job: str | None = None,
        again: Hire | None = None,
    ) -> Hire:
        """Hire a trainer for a job (see ``link``); for the one linked last when none is named.

        ``work_email``: "now", "later" (when released), None (never), or an address. ``again``: the same trainer as
        in that hire, whatever the name.
        """
        owner = self._connected()
        found = self._job if job is None and self._job is not None else self._find_job(job, owner.tenant)
        contract = self.sandbox.hire(
            name,
            job_id=found.id,
            work_email="never" if work_email is None else work_email,
            opentrain_user_id=None if again is None else again.opentrain_user_id,
        ).contract
        trainer = find(self.sandbox.store, Freelancer, contract.freelancer_id)
        return Hire(
            id=contract.id, opentrain_user_id=trainer.opentrain_user_id, work_email=trainer.work_email
        )

    def end(self, contract: Hire | Contract) -> None:
        """End a contract."""
        self.sandbox.end(_id(contract))

    def fund(
        self,
        contract: Hire | Contract,
        *,
        hours: float | None = None,
        labels: int | None = None,
        amount_usd: float = 100,
    ) -> None:
        """Fund a new milestone of so many hours or labels, by the job's way of payment."""
        self.sandbox.fund(_id(contract), amount_usd, hours if labels is None else labels)

    # What trainers do -----------------------------------------------------------------------------

    def release_email(self, contract: Hire | Contract) -> None:
        """OpenTrain shares the Work Email from now on. There is no event for that."""
        self.sandbox.release_email(_id(contract))

    def change_email(self, hire: Hire, work_email: str) -> None:
        """The trainer's Work Email is another one now. There is no event for that: their next contract has it."""
        self.sandbox.change_email(hire.opentrain_user_id, work_email)

    def first_login(self, hire: Hire, password: str = first_login.PASSWORD) -> Client:
        """The trainer follows the mail for their first login, by the site's own pages; returns their browser.

        They open its link, choose ``password``, and log in where that doesn't do it. Raises ``FirstLoginFailed``,
        which says at which step, and what the site answered.
        """
        return first_login.log_in(hire, password)

    def consume(
        self,
        contract: Hire | Contract,
        *,
        hours: float = 0,
        tasks: int = 0,
        labels: int = 0,
    ) -> usage.Report:
        """Work is done under a contract, and reported at once.

        On the current day; hours for which that is too short are on the days before.
        """
        row = contract.contract if isinstance(contract, Hire) else contract
        seconds = round(hours * 3600)
        day = usage.today()
        with committing():
            usage.add(row, day, total_seconds=0, tasks_completed=tasks, labels_completed=labels)
            while seconds:
                free = min(seconds, SECONDS_PER_DAY - _seconds(row, day))
                if free:
                    usage.add(row, day, total_seconds=free)
                seconds -= free
                day -= timedelta(days=1)
            return usage.report(row)

    # What goes wrong ------------------------------------------------------------------------------

    def fail_next(
        self, status: int = 500, times: int = 1, *, match: str = ".*", retry_after: str | None = None
    ) -> None:
        """The next API calls are refused. ``match``: a regular expression for ``METHOD /path``."""
        self.sandbox.fault("error", status=status, times=times, match=match, retry_after=retry_after)

    def lose_next_response(self, times: int = 1, *, match: str = CHANGING) -> None:
        """The next API call that changes something takes effect, and its answer never comes."""
        self.sandbox.fault("drop", times=times, match=match)

    # Time and work --------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The time, for OpenTrain and for the site."""
        return timezone.now()

    @property
    def today(self) -> date:
        """The current work day, in ``USAGE_TIME_ZONE``."""
        return usage.today()

    def travel(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass. What falls due is done by the next ``run()``."""
        self.sandbox.advance(
            timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        )

    def deliver(self) -> int:
        """Make each webhook delivery that is due, once; returns how many. Raises ``DeliveryFailed``.

        They are stored, as the receiver does it: ``run()`` lets them take effect.
        """
        with committing():
            attempts = self.sandbox.deliver_due()
        self._sender.check()
        return attempts

    def run(self) -> None:
        """Deliver and do everything that is due, until nothing is. Raises ``DeliveryFailed`` or ``StillBusy``."""
        self.deliver()
        left = ""
        for _round in range(MAX_ROUNDS):
            with committing():
                done = sweep.run()
            # Until nothing is due here. So what is left to do follows from deliveries, or from reported usage.
            delivered = self.deliver()
            if not delivered and not done.usage:
                return
            left = f"{delivered} deliveries, {done}"
        raise StillBusy(f"Still something to do after {MAX_ROUNDS} rounds: {left}")

    # ----------------------------------------------------------------------------------------------

    def _connected(self) -> Install:
        if self._install is None:
            raise LookupError("No customer is connected yet: call connect() first.")
        return self._install

    def _organization(self, tenant: str) -> Organization:
        """The tenant's own, so that connecting again is a reconnect."""
        if tenant not in self._organizations:
            organization = self.sandbox.create_organization(tenant)
            self.sandbox.create_job(DEFAULT_JOB, organization_id=organization.id)
            self._organizations[tenant] = organization
        return self._organizations[tenant]

    def _find_job(self, job: str | None, tenant: str) -> Job:
        organization = self._organization(tenant)
        for each in self.sandbox.store.owned(Job, organization.id):
            if job in (None, each.id, each.title):
                return each
        return self.sandbox.create_job(str(job), organization_id=organization.id)


def _restore(adapters: Any, before: dict[str, Any]) -> None:
    adapters.clear()
    adapters.update(before)


def _id(contract: Hire | Contract) -> str:
    return contract.id if isinstance(contract, Hire) else str(contract.opentrain_id)


def _seconds(contract: Contract, day: date) -> int:
    known = contract.usage.filter(worker_id="", work_date=day).values_list("total_seconds", flat=True)
    return known.first() or 0

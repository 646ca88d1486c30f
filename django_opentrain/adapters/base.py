"""The one class that a host writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from datetime import timezone as tz
from itertools import groupby
from numbers import Integral
from typing import TYPE_CHECKING, Final, Generic
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Case, DateField, DateTimeField, ExpressionWrapper, F, Value, When
from django.db.models.functions import Cast, TruncDate
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from django_opentrain.conf import conf
from django_opentrain.errors import AdapterError

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AbstractUser
    from django.http import HttpRequest
    from typing_extensions import TypeVar  # with a default, which Python has from 3.13 on

    from django_opentrain.models import AccessGrant, Contract

    #: The site's user model: ``class MyAdapter(DjangoUsersAdapter["MyUser"])`` where it is no ``AbstractUser``.
    UserT = TypeVar("UserT", bound=AbstractBaseUser, default=AbstractUser)
else:
    from typing import TypeVar

    UserT = TypeVar("UserT")


def exact_text(value: object, name: str) -> str:
    """A text of the adapter's, called ``name``; a key that is an integer or a UUID as text.

    Raises ``AdapterError`` for anything else, whose text may not be what identifies it.
    """
    if isinstance(value, (str, Promise, Integral, UUID)) and not isinstance(value, bool):
        return str(value)
    raise AdapterError(
        _("The adapter's value for %(name)s must be a text, not %(type)s.")
        % {"name": name, "type": type(value).__name__}
    )


_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Project:
    """One of the host's projects, as a customer may link it. Raises ``AdapterError`` for what is no text."""

    id: str
    name: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        for each in fields(self):
            value: object = getattr(self, each.name)
            empty = value is None and each.name != "id"
            object.__setattr__(self, each.name, "" if empty else exact_text(value, f"Project.{each.name}"))


@dataclass(frozen=True, kw_only=True)
class DayUsage:
    """One worker's cumulative totals of one day. ``None`` leaves a total as it is."""

    work_date: date
    total_seconds: int | None = None
    tasks_completed: int | None = None
    labels_completed: int | None = None
    #: OpenTrain's user id; empty: the contract's hired trainer.
    worker_id: str = ""


def day_bounds(since: date, until: date) -> tuple[datetime, datetime]:
    """When ``since`` begins and when ``until`` has ended in ``USAGE_TIME_ZONE``, to filter a column of times by."""
    return _midnight(since), _midnight(until + _DAY)


def day_of(column: str, since: date, until: date) -> Case:
    """The day of a column of times in ``USAGE_TIME_ZONE``, an expression for queries between ``day_bounds()``.

    Not the database's own ``TruncDate(…, tzinfo=…)``: its time zone data may be older than Python's, by which days
    begin here, and a MySQL or MariaDB without time zone tables answers NULL.
    """
    days = [since + timedelta(days=number) for number in range((until - since).days + 1)]
    whens = []
    for (offset, odd_day), group in groupby(days, _offset_of):
        *_others, last = group
        local = TruncDate(ExpressionWrapper(F(column) + Value(offset), DateTimeField()), tzinfo=tz.utc)
        ends = {f"{column}__lt": _midnight(last + _DAY)}
        whens.append(When(**ends, then=Cast(Value(odd_day), DateField()) if odd_day else local))
    return Case(*whens, output_field=DateField())


def _offset_of(day: date) -> tuple[timedelta, date | None]:
    """The zone's offset from UTC; and the day itself if that changes in it."""
    begins, ends = (_midnight(each).utcoffset() or timedelta() for each in (day, day + _DAY))
    return begins, None if begins == ends else day


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(conf.usage_time_zone))


class OpenTrainAdapter(Generic[UserT]):
    """What OpenTrain's decisions mean on this site. Name the subclass in ``OPENTRAIN["ADAPTER"]``.

    ``grant_access`` and ``revoke_access`` are called until they return, and may be called again at any time: they
    must be idempotent. No transaction of this package is open around any call, which may take as long as it needs;
    one whose work is all in the database is best decorated with ``transaction.atomic``, so that a failure in the
    middle leaves nothing behind.
    """

    def get_tenant(self, request: HttpRequest) -> str | None:
        """The customer for whom this request's user acts: any stable string; None when there is none.

        Called on every page and API call.
        """
        raise NotImplementedError

    def get_tenants(self, request: HttpRequest) -> Iterable[str]:
        """All customers for whom this request's user may act, where there can be others than ``get_tenant``'s.

        Optional. Called on every page and API call. What a page is about then says for which it acts: a project, a
        contract, a connection. ``can_manage`` is asked of that one.
        """
        return ()

    def display_customer(self, tenant: str) -> str:
        """The customer's name. Optional. Called where a user chooses among several customers, and in the admin.

        A list of the admin calls it once for each customer in it.
        """
        return tenant

    def customer_url(self, tenant: str) -> str:
        """The URL of the customer's own site, where customers have hosts of their own, such as subdomains. Optional.

        Called when OpenTrain sends a customer back. That is to ``PUBLIC_URL``, where their session may not be; from
        there they are forwarded to the same path of this URL. By default "": there is one host for all.
        """
        return ""

    def can_manage(self, request: HttpRequest, tenant: str) -> bool:
        """Whether this request's user may connect, link and see the contracts of ``tenant``.

        Called on every page and API call.
        """
        raise NotImplementedError

    def can_view(self, request: HttpRequest, tenant: str) -> bool:
        """Whether this request's user may see what there is of ``tenant``, without changing anything. Optional.

        Called for users who don't manage it, by pages and API calls that only show; who manages it may see it in any
        case. By default no one else may.
        """
        return self.can_manage(request, tenant)

    def check_request(self, request: HttpRequest) -> None:
        """Refuse a request that this site's own policy doesn't admit, such as one without a second factor. Optional.

        Called for each page and each API call of a user who is logged in, customer or trainer, before anything else.
        To refuse it, raise Django's ``PermissionDenied`` with a sentence for the user.
        """

    def list_projects(self, tenant: str) -> Iterable[Project]:
        """The projects that ``tenant`` may link. Called where a customer picks one."""
        raise NotImplementedError

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        """That project, if it is one of ``tenant``'s.

        Called before each link and each grant: a link made on OpenTrain must not open another customer's project.
        """
        raise NotImplementedError

    def grant_access(self, grant: AccessGrant) -> str:
        """Give ``grant.participant`` (its ``work_email`` is known) access to ``grant.external_project_id``.

        Called by a worker until it returns, and again at any time, as to restore what was changed by hand. Returns
        the host's id of the account, which is stored as ``grant.host_user_ref``.
        """
        raise NotImplementedError

    def revoke_access(self, grant: AccessGrant) -> None:
        """End the access of ``grant.participant`` to ``grant.external_project_id``; keep their work.

        That is the project for which ``grant_access`` was called, whatever has become of the link.

        Called by a worker until it returns, and only when no other grant wants this access. ``grant.host_user_ref``
        is empty when access was never granted, or when that was never recorded.

        Where the customer has work stopped while a budget is used up, it is called for that, too. Then
        ``grant.desired`` is PAUSED, and ``grant_access`` follows once the contract is funded.
        """
        raise NotImplementedError

    def has_access(self, grant: AccessGrant) -> bool | None:
        """Whether ``grant.participant`` still has the access that ``grant_access`` gave. Optional; None: not known.

        Called before access is given again. False means that a person has removed them on the host: that is shown
        and stands, and ``grant_access`` is not called until someone asks for it here.
        """
        return None

    def access_states(self, grants: Sequence[AccessGrant]) -> Mapping[int, bool | None]:
        """Whether the trainer of each of these grants can get into its project now, by the grants' ``pk``. Optional.

        Called at each reconciliation, for up to 500 grants of one customer at once: those that gave access, and those
        that were revoked in the last ``PII_RETENTION_DAYS``. Answer with one or two queries for all, not with some
        for each. Where an answer isn't as it should be, access is given or revoked again, by the methods above. What
        you can't know, leave out: for that they are called once a day. By default nothing is known.
        """
        return {}

    def account_key(self, request: HttpRequest) -> str | None:
        """Your key of the account of this request's user, as ``grant_access`` returns it; None if they have none.

        Called on the trainer's page: by it trainers are recognised who have access. Optional; by default the user's
        primary key.
        """
        return str(request.user.pk)

    def account_to_bind(self, grant: AccessGrant) -> UserT:
        """The one account that has the Work Email of ``grant.participant`` and may become theirs. Optional.

        Called where a customer or an operator is to consent. Raises ``AdapterError`` where there is none.
        """
        raise AdapterError(_("This site's adapter doesn't let trainers use accounts that they had before."))

    def may_bind(self, tenant: str, user: UserT) -> bool:
        """Whether this customer may consent that ``user``, of ``account_to_bind``, is a trainer of theirs. Optional.

        Called before a customer is asked. Where it is False, only an operator may. Say True only of accounts that are
        this customer's own alone.
        """
        return False

    def bind_account(self, grant: AccessGrant, user: UserT, *, by: str, tenant: str = "") -> None:
        """``user``, of ``account_to_bind``, is the account of ``grant.participant`` from now on. Optional.

        Called when a customer or an operator has consented. Who did is ``by``: a customer, then it is so for this
        ``tenant`` alone, or an operator. Raises ``AdapterError``.
        """
        raise AdapterError(_("This site's adapter doesn't let trainers use accounts that they had before."))

    #: Whether this site sends trainers a link for their first login, and can resend it.
    sends_first_login = False

    def invite(self, user: UserT) -> bool:
        """Send this user, an account that was made for a trainer, the link for the first login; whether it went out.

        Called by a worker, where ``sends_first_login`` is true, until it returns True.
        """
        raise NotImplementedError

    def resend_first_login(self, grant: AccessGrant) -> bool:
        """Resend the first-login link to ``grant.participant``; returns whether the mail server accepted it.

        Called only if ``sends_first_login`` is true, for access that was granted.
        """
        raise NotImplementedError

    #: Whether this site observes work (``services.work.observe``): then what is reported follows from the work
    #: ledger, and ``collect_usage`` is not called.
    observes_work = False
    #: The dotted path of a function without arguments that is called once when the site starts, in every process: it
    #: connects whatever observes work. Optional.
    observer = ""
    #: The dotted path of the middleware by which that observer knows who acts; a system check asks for it.
    observer_middleware = ""

    #: Whether this site measures how long trainers work. Where it doesn't, and the timer's middleware isn't installed
    #: either, hourly contracts are shown as a problem.
    measures_time = True

    def project_of_path(self, path: str) -> str | None:
        """The project in which a trainer works on the page at this path; None for other pages. Optional.

        Called by the timer where a page names no project: for ``django_opentrain.middleware.timer``, on sites whose
        pages change without being loaded.
        """
        return None

    def collect_usage(self, contract: Contract, since: date, until: date) -> Iterable[DayUsage]:
        """The totals of each day from ``since`` to ``until``, both included, in ``USAGE_TIME_ZONE``. Optional.

        Called every quarter of an hour for the last days, and once a day for all days of a contract. For hosts that
        keep an honest ledger of their own: what anyone can change later is not what a trainer did. Sites that call
        ``services.usage`` themselves return nothing.
        """
        return ()

    def usage_changed_since(self, since: datetime) -> Iterable[Contract] | None:
        """Contracts of which ``collect_usage`` may answer something else than it did at ``since``. Optional.

        Called once for all customers, every quarter of an hour: answer with one or two queries, such as of rows that
        were changed since then. Only these contracts are collected from, and each of the others once a day. May name
        too many, never too few; None if it can't be said this time. Without it, all contracts are collected from
        every quarter of an hour.
        """
        return None

    def budget_changed(self, contract: Contract, previous_state: str) -> None:
        """``contract.budget_state`` has changed from ``previous_state``: warn, or hand out no more tasks. Optional.

        Called by a worker until it returns. Access is paused without it, where the customer wants that: see
        ``revoke_access``.
        """

    def left_behind(self, grant: AccessGrant) -> Iterable[str]:
        """What was made on the site while this trainer had access and may be theirs: a line for each. Optional.

        Called when access has ended, and by the doctor for 30 days. From ``grant.granted_at`` to
        ``grant.revoked_at``, which is None when it is asked first: such as webhooks and accounts. The lines are
        logged, and shown by the doctor: without secrets and e-mail addresses.
        """
        return ()

    def check_revocation(self) -> str | None:
        """Prove with a canary account that revocation works: grant access, revoke it, try to get in.

        Called by the doctor. Returns None if it is locked out, else what it still reached. Optional, for adapters
        that can test it.
        """
        raise NotImplementedError


def get_adapter() -> OpenTrainAdapter:
    """The site's adapter. Raises ``ImproperlyConfigured`` when its class can't be imported."""
    try:
        adapter_class = import_string(conf.adapter)
    except ImportError as error:
        raise ImproperlyConfigured(f"OPENTRAIN['ADAPTER'] can't be imported: {error}") from error
    adapter = adapter_class()
    if not isinstance(adapter, OpenTrainAdapter):
        raise ImproperlyConfigured("OPENTRAIN['ADAPTER'] must name a subclass of OpenTrainAdapter.")
    return adapter

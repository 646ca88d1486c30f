"""The one ``OPENTRAIN`` dict of a site's settings, each key declared once.

From a declaration follow the typed property (``conf.read_timeout``), the system check of the site's value
(``checks/values.py``) and the row in docs/reference/settings.md. That row says what the comment above it says, in
Markdown; a paragraph that begins with the check's id is added to its hint in docs/reference/checks.md
(``tests/reference`` makes both). Values are read at every access, so ``override_settings(OPENTRAIN={...})`` works; a
key that is missing and has no default raises ``ImproperlyConfigured`` where it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar, overload
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_script_prefix, reverse
from django.utils.translation import override

from django_opentrain import constraints
from django_opentrain.constraints import Constraint, any_of, number, some_of, whole_number
from django_opentrain.platform import catalog

SETTING: Final = "OPENTRAIN"

#: The parts of the pages that a site can close.
CUSTOMER_PAGES: Final = "customer"
TRAINER_PAGES: Final = "trainer"
TIMER: Final = "timer"
PAGES: Final = (CUSTOMER_PAGES, TRAINER_PAGES, TIMER)

T = TypeVar("T")


@dataclass(eq=False)
class Setting(Generic[T]):
    """One key of ``OPENTRAIN``; its name is the attribute's, in capitals."""

    #: The id of the system check that ``constraint`` belongs to.
    check: str
    #: Makes the typed value of the one that the site wrote.
    read: Callable[[Any], T]
    #: None where checks of its own look deeper.
    constraint: Constraint | None = None
    #: None for a key that every site has to set.
    default: Any = None
    key: str = field(init=False)

    def __set_name__(self, owner: type[OpenTrainSettings], name: str) -> None:
        self.key = name.upper()

    @overload
    def __get__(self, instance: None, owner: type[OpenTrainSettings]) -> Setting[T]: ...

    @overload
    def __get__(self, instance: OpenTrainSettings, owner: type[OpenTrainSettings]) -> T: ...

    def __get__(self, instance: OpenTrainSettings | None, owner: type[OpenTrainSettings]) -> Setting[T] | T:
        return self if instance is None else self.read(instance[self.key])


def _texts(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


def _lower(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(each.lower() for each in value)


def _policy(value: Mapping[str, Sequence[str]] | str) -> Mapping[str, Sequence[str]] | None:
    return None if isinstance(value, str) else value


def _url(value: object) -> str:
    """A URL without a slash at its end."""
    return str(value).rstrip("/")


class OpenTrainSettings:
    """Typed access to ``settings.OPENTRAIN``."""

    #: The slug of your platform app, as registered with OpenTrain under *Settings → Developer*. It never
    #: changes.
    #:
    #: E004: It is a short text without spaces and slashes, and becomes part of the consent URL.
    app_slug = Setting("E004", str, constraints.SLUG)

    #: A list of Fernet keys for what is stored encrypted. The first encrypts, all decrypt. `manage.py
    #: opentrain_generate_key` prints one. See [changing a key](docs/how-to/change-the-key.md).
    #:
    #: E005: It is a list also when there is one key only.
    encryption_keys: Setting[tuple[str, ...]] = Setting(
        "E005",
        tuple,  # no function of ours, whose argument error reporters would print
        constraints.ENCRYPTION_KEYS,
    )

    #: The URL under which browsers and OpenTrain reach your site, such as `https://annotate.example.com`.
    #: Where it runs below a path (`SCRIPT_NAME`), with that path. Redirect and webhook URLs are made from it,
    #: never from a request's `Host` header.
    #:
    #: E006: Add a port if needed. The path has plain letters, digits and `._~-`:
    #: `https://example.com/annotate` where your server or `FORCE_SCRIPT_NAME` says `/annotate`. What your
    #: URLconf adds doesn't belong there, nor do credentials.
    public_url = Setting("E006", _url, constraints.PUBLIC_URL)

    #: The dotted path of [your adapter](docs/how-to/adapter.md).
    adapter = Setting("E008", str, default="django_opentrain.adapters.users.DjangoUsersAdapter")

    #: OpenTrain's origin. A [sandbox](docs/reference/sandbox.md) has another.
    #:
    #: E011: It sends tokens readably.
    base_url = Setting("E011", _url, constraints.PLATFORM_URL, default="https://app.opentrain.ai")

    #: The scopes that your app asks for. Leave out what you don't use: the customer sees the list. Without
    #: `participants:email` and the customer's PII consent OpenTrain shares no Work Emails, and no trainer can
    #: get access by one.
    #:
    #: E012: A string instead of a list is a list of letters.
    scopes = Setting("E012", _texts, some_of(catalog.SCOPES), default=catalog.SCOPES)

    #: The event types that webhook endpoints subscribe to.
    event_types = Setting("E013", _texts, some_of(catalog.EVENT_TYPES), default=catalog.EVENT_TYPES)

    #: Seconds to wait for a connection to OpenTrain, TLS included, for each address that its name has.
    #:
    #: E014: Without a timeout a worker could wait indefinitely.
    connect_timeout = Setting("E014", float, constraints.TIMEOUT, default=3.05)

    #: Seconds that OpenTrain's whole answer may take, from the request to the last byte of the body.
    read_timeout = Setting("E014", float, constraints.TIMEOUT, default=20)

    #: How often a call that may be repeated is retried at once, after a connection error, a 429 or a 5xx. A
    #: call ends after 240 seconds, whatever retries are left.
    max_retries = Setting("E015", int, constraints.RETRIES, default=3)

    #: Seconds by which a webhook's timestamp may differ from our clock, either way.
    #:
    #: E016: OpenTrain advises 300. A greater value leaves an attacker more time to replay a recorded
    #: delivery.
    signature_tolerance = Setting("E016", int, whole_number(1, 3600, of="seconds"), default=300)

    #: The longest webhook body that is read. A longer one is answered 413.
    max_webhook_bytes = Setting("E017", int, whole_number(4096, 104_857_600, of="bytes"), default=262_144)

    #: The IANA name of the time zone whose midnight separates work days. OpenTrain refuses days in the
    #: future: where your day begins before UTC's, it is reported once it has begun in UTC as well.
    #:
    #: E018: It has to be one that this machine knows: where the system has no time zones, `pip install
    #: tzdata`.
    usage_time_zone = Setting("E018", str, constraints.TIME_ZONE, default="UTC")

    #: Seconds between `install.revoked` and the removal of the access that the install gave. The trainers of
    #: a customer who reconnects within them keep their access.
    #:
    #: E019: That is 30 days at most.
    revoke_grace = Setting("E019", int, whole_number(0, 2_592_000, of="seconds"), default=900)

    #: Days for which the body of a processed event is kept. The row stays.
    event_retention_days = Setting("E020", int, constraints.DAYS, default=30)

    #: Days for which names and Work Emails are kept after a trainer's last contract has ended.
    pii_retention_days = Setting("E020", int, constraints.DAYS, default=30)

    #: Days for which [the work ledger](docs/explanation/hours.md) is kept: it is what answers a dispute about
    #: hours. Totals stay.
    #:
    #: E020: What was done has to be reported before the ledger of it goes.
    work_retention_days = Setting("E020", int, whole_number(31, 36_500, of="days"), default=400)

    #: Seconds without any input after which [the timer](docs/how-to/timer.md) takes a trainer to be away.
    idle_seconds = Setting("E034", int, whole_number(10, 600, of="seconds"), default=60)

    #: The share of an install's grants that may be removed at once when there are more than five: by a
    #: reconciliation, or because the connection ended on OpenTrain, which removes all. Above it, they wait
    #: until the customer or an operator confirms that number; for more it asks again. `1` never waits.
    removal_breaker = Setting("E021", float, number(0, 1, "Use a share between 0 and 1."), default=0.5)

    #: `"celery"`: an event wakes a Celery worker at once. `"none"`: nothing is published, and all work is
    #: found by the scheduled sweep or by `manage.py opentrain_work`.
    dispatch = Setting(
        "E022",
        str,
        Constraint(
            lambda value: value in ("celery", "none"),
            "Use 'celery', or 'none' where `manage.py opentrain_work` does the work.",
        ),
        default="celery",
    )

    #: The domains of the Work Emails that give access automatically. An address at another domain, or at a
    #: subdomain, is held until an operator accepts it in the admin; `*` accepts every domain.
    work_email_domains = Setting("E029", _lower, constraints.DOMAINS, default=(catalog.WORK_EMAIL_DOMAIN,))

    #: The alias in Django's `MAILERS` by which first-login mails are sent. Before Django 6.1 there are no
    #: others.
    mailer = Setting("E028", str, constraints.MAILER, default="default")

    #: Directives of the pages' Content-Security-Policy in the place of
    #: [ours](docs/reference/pages.md#security), such as `{"img-src": ["'self'", "https://cdn.example.com"]}`.
    #: `"site"`: the pages send none, and your middleware does.
    #:
    #: E035: What a directive lists stands in the place of our sources, so `'self'` has to be repeated. Names
    #: are in small letters; a source has no blank, comma or semicolon.
    content_security_policy: Setting[Mapping[str, Sequence[str]] | None] = Setting(
        "E035", _policy, constraints.POLICY, default={}
    )

    #: The token with which a monitor reads [the metrics](docs/how-to/monitor.md#metrics) (`Authorization:
    #: Bearer …`): 20 to 200 characters. Without one nothing is counted, and there is no such page.
    metrics_token = Setting("E038", str, constraints.METRICS_TOKEN, default="")

    #: The parts of [the pages](docs/how-to/restrict-pages.md#close-what-you-dont-need) that are open:
    #: `customer` (overview, contracts, files), `trainer` (the trainer's page) and `timer`. `[]` where the
    #: site has a front end of its own.
    #:
    #: E037: An empty list closes [all of them](docs/how-to/restrict-pages.md#close-what-you-dont-need).
    pages = Setting("E037", _texts, any_of(PAGES), default=PAGES)

    def __getitem__(self, key: str) -> Any:
        # Not in a variable, which error reporters would print: the keys are among them.
        if key in self.configured():
            return self.configured()[key]
        if SETTINGS[key].default is not None:
            return SETTINGS[key].default
        raise ImproperlyConfigured(f"Add {key!r} to the {SETTING} setting (see docs/reference/settings.md).")

    def configured(self) -> Mapping[str, Any]:
        """The keys that the site has set."""
        return getattr(django_settings, SETTING, {})  # no variable here, either

    def view_url(self, name: str, **arguments: object) -> str:
        """The public URL of the view ``opentrain:<name>``, the same in every language.

        Under ``i18n_patterns`` a path begins with the language of the request. OpenTrain compares a redirect URI
        with a registered one, and we compare an endpoint's URL with the one it has there.
        """
        with override(django_settings.LANGUAGE_CODE):
            return self.absolute_url(reverse(f"opentrain:{name}", kwargs=arguments))

    def absolute_url(self, path: str) -> str:
        """The public URL of ``path`` (a path that ``reverse()`` made) on this site, the same in every process.

        ``ALLOWED_HOSTS`` is ``["*"]`` on real platforms: a URL must never come from a request's Host header. Nor
        from a server's ``SCRIPT_NAME``, with which ``reverse()`` begins in its requests: workers don't know it.
        """
        return f"{self.public_url}/{path.removeprefix(get_script_prefix()).removeprefix('/')}"

    @property
    def public_path(self) -> str:
        """The path below which the site runs: ``SCRIPT_NAME``; mostly empty."""
        return urlsplit(self.public_url).path


SETTINGS: Final[Mapping[str, Setting[Any]]] = {
    each.key: each for each in vars(OpenTrainSettings).values() if isinstance(each, Setting)
}

conf = OpenTrainSettings()

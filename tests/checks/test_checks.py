"""Every system check: what provokes it, and that a right site provokes none."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import django
import pytest
from celery import Celery
from cryptography.fernet import Fernet
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractUser
from django.core.checks import CheckMessage, run_checks
from django.db import OperationalError, connection
from django.db.utils import ConnectionHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.test.utils import override_script_prefix
from django.urls import include, path, re_path

from django_opentrain import urls
from django_opentrain.adapters import OpenTrainAdapter, Project
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.checks import background
from django_opentrain.models import Participant
from django_opentrain.schedule import BEAT_SCHEDULE
from django_opentrain.services.workers import wakeup
from django_opentrain.web.views.receiver import receive
from tests.reference.checks import meanings

HERE = __name__
REMOVE = object()
LOCAL = "http://localhost:8000"
DEVELOPMENT_BACKENDS = ("console", "dummy", "filebased", "locmem")


class Adapter(DjangoUsersAdapter):
    """All that a host has to say."""

    def list_projects(self, tenant: str) -> list[Project]:
        return []

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        return None


class InvitingAdapter(Adapter):
    """One that lets trainers know in a way of its own."""

    def invite(self, user: AbstractUser) -> bool:
        return True


class SilentAdapter(Adapter):
    """One that sends nothing."""

    sends_first_login = False


class ObservingAdapter(Adapter):
    """One whose observer has to know who acts."""

    observes_work = True
    observer_middleware = "django_opentrain.middleware.acting_user"


class HalfAnAdapter(OpenTrainAdapter):
    """Only the beginning of one."""


class LoginRequiredEverywhere:
    """A host's own middleware, judged by its name."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)


class UsersElsewhere:
    """A router that keeps our tables apart from the users."""

    def db_for_write(self, model: Any, **_hints: Any) -> str:
        return "people" if model._meta.app_label == "auth" else "default"


class Replica:
    """A router that reads where nothing is written."""

    def db_for_read(self, model: Any, **_hints: Any) -> str:
        return "replica"


class ReplicaButForUs(Replica):
    """It excepts this app."""

    def db_for_read(self, model: Any, **_hints: Any) -> str:
        return "default" if model._meta.app_label == "django_opentrain" else "replica"


class Patterns:
    """A URLconf."""

    def __init__(self, *patterns: Any) -> None:
        self.urlpatterns = list(patterns)


def anything(request: HttpRequest, rest: str = "") -> HttpResponse:
    return HttpResponse()


@functools.wraps(receive)
def logged_in_receiver(*arguments: Any, **values: Any) -> HttpResponse:
    response: HttpResponse = login_required(receive)(*arguments, **values)
    return response


OURS = path("opentrain/", include("django_opentrain.urls"))
NO_URLS = Patterns(path("", anything))
OTHER_NAMESPACE = Patterns(path("ot/", include((urls.urlpatterns, "partner"))))
SHADOWED = Patterns(re_path("^(?P<rest>.*)$", anything), OURS)
WRAPPED = Patterns(path("opentrain/webhooks/<uuid:key>/", logged_in_receiver), OURS)


def celery(**configuration: Any) -> Celery:
    app = Celery("host", set_as_current=False, fixups=[])
    app.conf.update({"beat_schedule": BEAT_SCHEDULE, **configuration})
    return app


def forgetful() -> Celery:
    app = celery()
    app.tasks.unregister("django_opentrain.sweep")
    return app


@pytest.fixture(autouse=True)
def right_site(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site about which there is nothing to say."""
    settings.OPENTRAIN = {
        "APP_SLUG": "your-platform",
        "ENCRYPTION_KEYS": [Fernet.generate_key().decode()],
        "PUBLIC_URL": "https://annotate.example.com",
        "ADAPTER": f"{HERE}.Adapter",
    }
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com", "https://annotate.example.com:8443"]
    settings.DEFAULT_FROM_EMAIL = "annotate@example.com"
    settings.LOGIN_URL = "https://login.example.com/"
    mail_by(settings)
    monkeypatch.setattr(wakeup, "_host_app", celery())


def mail_by(
    settings: Any, backend: str = "django.core.mail.backends.smtp", host: str = "smtp.example.com"
) -> None:
    """Send mails by this backend; Django 6.1 knows it by another setting."""
    if django.VERSION >= (6, 1):
        sender = {"BACKEND": f"{backend}.EmailBackend", "OPTIONS": {"host": host}}
        settings.MAILERS = {"default": sender, "trainers": sender}
    else:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST = f"{backend}.EmailBackend", host


def found(*, deploy: bool = True) -> list[CheckMessage]:
    return run_checks(tags=["opentrain"], include_deployment_checks=deploy, databases=[])


def ids(*, deploy: bool = True) -> list[str]:
    return [str(message.id).removeprefix("opentrain.") for message in found(deploy=deploy)]


def use(settings: Any, key: str, value: Any) -> None:
    """Change one key of ``OPENTRAIN``, or one setting of Django's."""
    if key == "OPENTRAIN" or hasattr(settings, key):
        setattr(settings, key, value)
        return
    changed = {**settings.OPENTRAIN, key: value}
    settings.OPENTRAIN = {name: each for name, each in changed.items() if each is not REMOVE}


def test_a_right_site_has_no_message() -> None:
    assert found() == []


def test_the_rest_of_a_site_may_be_read_from_a_replica(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [f"{HERE}.ReplicaButForUs"]
    assert found() == []


@pytest.mark.parametrize("forced", [None, "/annotate", "/annotate/"])
def test_a_site_below_a_path(forced: str | None, settings: Any) -> None:
    settings.FORCE_SCRIPT_NAME = forced
    use(settings, "PUBLIC_URL", "https://annotate.example.com/annotate/")
    with override_script_prefix("/annotate/"):
        assert found() == []
        settings.ROOT_URLCONF = SHADOWED
        assert ids() == ["E025"]


def test_no_check_asks_the_database(django_assert_num_queries: Any, db: None) -> None:
    with django_assert_num_queries(0):
        found()


#: Each id, with what provokes it: a key of OPENTRAIN or a setting of Django's, and its wrong values.
WRONG: list[tuple[str, str, list[Any]]] = [
    ("E001", "OPENTRAIN", [{}, None, ["APP_SLUG"], "slug"]),
    ("E002", "APP_SLAG", ["x"]),
    ("E002", "app_slug", ["x"]),
    ("E003", "APP_SLUG", [REMOVE]),
    ("E003", "PUBLIC_URL", [REMOVE]),
    ("E003", "ENCRYPTION_KEYS", [REMOVE]),
    ("E004", "APP_SLUG", ["", None, 7, "with space", "a/b", "x" * 201, "tab\t"]),
    (
        "E005",
        "ENCRYPTION_KEYS",
        [[], "", None, ["short"], [None], Fernet.generate_key().decode(), ["ü" * 44]],
    ),
    (
        "E006",
        "PUBLIC_URL",
        [
            "",
            None,
            "annotate.example.com",
            "ftp://annotate.example.com",
            "https://",
            "https://annotate.example.com/a b",
            "https://annotate.example.com//app",
            "https://annotate.example.com/?a=1",
            "https://annotate.example.com#a",
            "https://me:pass@annotate.example.com",
            "https://annotate.example.com:99999",
            " https://annotate.example.com",
            "https://[::1",
        ],
    ),
    ("E007", "PUBLIC_URL", ["http://annotate.example.com", "http://10.0.0.5:8000"]),
    (
        "E008",
        "ADAPTER",
        ["nowhere.Adapter", f"{HERE}.NoSuchClass", "Adapter", "", "tests.checks.broken_adapter.Adapter"],
    ),
    ("E009", "ADAPTER", [None, Adapter, f"{HERE}.Patterns", f"{HERE}.anything"]),
    ("E010", "ADAPTER", [f"{HERE}.HalfAnAdapter", "django_opentrain.adapters.OpenTrainAdapter"]),
    (
        "E011",
        "BASE_URL",
        [
            "",
            None,
            "app.opentrain.ai",
            "http://app.opentrain.ai",
            "https://t:x@app.opentrain.ai",
            "https://app.opentrain.ai/api/v1",
        ],
    ),
    ("E012", "SCOPES", [[], None, "contracts:read", ["contracts:write"], [7]]),
    ("E013", "EVENT_TYPES", [[], None, "contract.started", ["contract.begun"]]),
    ("E014", "CONNECT_TIMEOUT", [0, -1, "3", None, True, 301, float("nan")]),
    ("E014", "READ_TIMEOUT", [0, None]),
    ("E015", "MAX_RETRIES", [-1, 11, 1.5, "3", True]),
    ("E016", "SIGNATURE_TOLERANCE", [0, -300, 3601, "300", 300.0]),
    ("E017", "MAX_WEBHOOK_BYTES", [0, 100, "262144", None]),
    ("E018", "USAGE_TIME_ZONE", ["", None, "Mars/Olympus", "America", "../../etc/passwd", "UTC+2"]),
    ("E019", "REVOKE_GRACE", [-1, "900", None]),
    ("E020", "EVENT_RETENTION_DAYS", [-1, "30", 0.5]),
    ("E020", "PII_RETENTION_DAYS", [-1, None]),
    ("E020", "WORK_RETENTION_DAYS", [30, 1.5, None]),
    ("E021", "REMOVAL_BREAKER", [-0.1, 1.1, "0.5", None]),
    ("E022", "DISPATCH", ["Celery", "", None, ["celery"]]),
    ("E028", "MAILER", ["", None, "nowhere", ["default"]]),
    ("E029", "WORK_EMAIL_DOMAINS", [[], None, "opentrain.work", ["opentrain"], ["@opentrain.work"], [7]]),
    ("E023", "ROOT_URLCONF", [NO_URLS, OTHER_NAMESPACE]),
    ("E024", "ROOT_URLCONF", [WRAPPED]),
    ("E025", "ROOT_URLCONF", [SHADOWED]),
    ("E026", "USE_TZ", [False]),
    (
        "E027",
        "SECURE_PROXY_SSL_HEADER",
        [
            ("X-Forwarded-Proto", "https"),
            ("HTTP_X-FORWARDED-PROTO", "https"),
            "HTTP_X_FORWARDED_PROTO",
            (),
            ("HTTP_X_FORWARDED_PROTO", "HTTPS"),
            ("HTTP_X_FORWARDED_PROTO", True),
        ],
    ),
    ("E031", "DATABASE_ROUTERS", [[f"{HERE}.UsersElsewhere"], [f"{HERE}.Replica"]]),
    (
        "E032",
        "PUBLIC_URL",
        ["https://annotate.example.com/opentrain", "https://annotate.example.com/opentrain/"],
    ),
    ("E032", "FORCE_SCRIPT_NAME", ["/annotate", "/annotate/"]),
    ("E034", "IDLE_SECONDS", [5, 601, 60.5, "60", None]),
    ("E038", "METRICS_TOKEN", ["too-short", "x" * 201, "with blanks in it, and long", b"x" * 30, 7, None]),
    ("E037", "PAGES", ["customer", ["admin"], {"timer": 1}, [1], None]),
    (
        "E035",
        "CONTENT_SECURITY_POLICY",
        [
            None,
            "none",
            [],
            {"img-src": "https://cdn.example.com"},
            {"img-src": ["'self'; script-src *"]},
            {"img-src": ["'self' *"]},
            {"img-src": ["a,b"]},
            {"img-src": [7]},
            {"IMG-SRC; x": []},
            {1: []},
        ],
    ),
    ("E033", "ADAPTER", [f"{HERE}.ObservingAdapter"]),
    ("W001", "EVENT_TYPES", [["contract.started", "install.revoked"]]),
    ("W002", "READ_TIMEOUT", [60]),
    ("W003", "ADAPTER", [REMOVE]),
    (
        "W004",
        "MIDDLEWARE",
        [[f"{HERE}.LoginRequiredEverywhere"], ["mysite.RequireLoginMiddleware"], ["mysite.StrictCsrf"]],
    ),
    ("W009", "PUBLIC_URL", [LOCAL, "http://127.0.0.1:8000", "https://site.localhost"]),
    ("W010", "BASE_URL", ["http://127.0.0.1:8800"]),
    ("W018", "CSRF_TRUSTED_ORIGINS", [[], ["http://annotate.example.com"], ["https://example.com"]]),
    ("W014", "LOGIN_URL", ["no-such-page", "/no/such/page/", "opentrain:nothing", "/accounts/", None]),
    ("W015", "DEFAULT_FROM_EMAIL", ["webmaster@localhost"]),
    ("W011", "ENCRYPTION_KEYS", [["Zk1ub0tQRXJ0bDNqYm1NZ0t4d0V1VXRmQ2JhUVJpS2s="], ["A" * 43 + "="]]),
]


def cases() -> Iterator[Any]:
    for name, key, values in WRONG:
        for number, value in enumerate(values):
            # Not by the value: some are made anew in each process, and xdist compares the names.
            yield pytest.param(name, key, value, id=f"{name}-{key}-{number}")


@pytest.mark.parametrize(("name", "key", "value"), list(cases()))
def test_what_is_wrong_is_said_and_nothing_else(name: str, key: str, value: Any, settings: Any) -> None:
    use(settings, key, value)
    assert set(ids()) == {name}


@pytest.mark.parametrize(
    ("name", "app"),
    [
        ("W006", lambda: None),
        ("W007", forgetful),
        ("W008", lambda: celery(beat_schedule={})),
        ("W008", lambda: celery(beat_schedule={"sweep": BEAT_SCHEDULE["opentrain-sweep"]})),
        ("W016", lambda: celery(task_always_eager=True)),
        ("W017", lambda: celery(broker_url="sqla+sqlite:///messages")),
        ("W017", lambda: celery(broker_url="zookeeper://127.0.0.1")),
        ("W017", lambda: celery(broker_url="rediss-cluster://127.0.0.1")),
    ],
)
def test_celery_that_would_not_do_the_work(
    name: str, app: Callable[[], Celery | None], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeup, "_host_app", app())
    assert ids() == [name]
    use(settings, "DISPATCH", "none")
    assert ids() == []


def test_a_schedule_that_is_kept_elsewhere_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = celery(beat_schedule={}, beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler")
    monkeypatch.setattr(wakeup, "_host_app", elsewhere)
    assert ids() == []


IMPATIENT: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/tmp/site.sqlite3"}
PATIENT = {"timeout": 30, "transaction_mode": "immediate"}


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        (IMPATIENT, ["W019"]),
        ({**IMPATIENT, "OPTIONS": {**PATIENT, "timeout": 5}}, ["W019"]),
        ({**IMPATIENT, "OPTIONS": {"timeout": 30}}, ["W019"] if django.VERSION >= (5, 1) else []),
        ({**IMPATIENT, "OPTIONS": PATIENT}, []),
        ({**IMPATIENT, "NAME": ":memory:"}, []),
    ],
)
def test_a_sqlite_file_that_several_processes_write(
    database: dict[str, Any], expected: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "connections", ConnectionHandler({"default": database}))
    assert ids() == expected
    use(settings, "DISPATCH", "none")
    assert ids() == []


@pytest.mark.django_db
def test_days_that_the_database_can_not_tell(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def names(**databases: Any) -> list[str]:
        return [str(message.id) for message in run_checks(tags=["opentrain"], **databases)]

    monkeypatch.setattr(connection.features, "has_zoneinfo_database", False)
    assert names(databases=["default"]) == []
    use(settings, "USAGE_TIME_ZONE", "Europe/Berlin")
    assert (names(databases=["default"]), names(databases=[])) == (["opentrain.W012"], [])
    monkeypatch.setattr(connection.features, "has_zoneinfo_database", True)
    assert names(databases=["default"]) == []


@pytest.mark.django_db
def test_a_database_that_can_not_be_reached_has_no_time_zones(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_features: object) -> bool:
        raise OperationalError("no connection")

    use(settings, "USAGE_TIME_ZONE", "Europe/Berlin")
    monkeypatch.setattr(type(connection.features), "has_zoneinfo_database", property(fail))
    assert run_checks(tags=["opentrain"], databases=["default"]) == []


@pytest.mark.skipif(connection.vendor != "mysql", reason="other databases have one charset, or bytes")
@pytest.mark.django_db(transaction=True)
def test_a_column_that_can_not_hold_an_emoji() -> None:
    def charset(name: str) -> list[str]:
        table = Participant._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(
                f"ALTER TABLE {table} MODIFY display_name varchar(300) CHARACTER SET {name} NOT NULL"
            )
        return [str(each.msg) for each in run_checks(tags=["opentrain"], databases=["default"])]

    try:
        [message] = charset("utf8mb3")
        assert Participant._meta.db_table in message
    finally:
        assert charset("utf8mb4") == []


SSL = "HTTP_X_FORWARDED_PROTO"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"SECURE_SSL_REDIRECT": True}, ["W005"]),
        ({"SECURE_SSL_REDIRECT": True, "SECURE_PROXY_SSL_HEADER": (SSL, "https")}, []),
        ({"SECURE_SSL_REDIRECT": True, "SECURE_REDIRECT_EXEMPT": ["^opentrain/webhooks/"]}, []),
        ({"SECURE_SSL_REDIRECT": True, "SECURE_REDIRECT_EXEMPT": ["^other/"]}, ["W005"]),
        ({"SECURE_SSL_REDIRECT": True, "MIDDLEWARE": []}, []),
    ],
)
def test_redirects_that_a_delivery_would_meet(changes: Any, expected: list[str], settings: Any) -> None:
    for key, value in changes.items():
        setattr(settings, key, value)
    assert ids() == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PUBLIC_URL", "https://annotate.example.com/"),
        ("PUBLIC_URL", "https://annotate.example.com:8443"),
        ("ENCRYPTION_KEYS", (Fernet.generate_key(), Fernet.generate_key().decode())),
        ("SCOPES", ["contracts:read"]),
        ("SCOPES", {"contracts:read"}),
        ("USAGE_TIME_ZONE", "America/New_York"),
        ("REVOKE_GRACE", 0),
        ("WORK_EMAIL_DOMAINS", ["OpenTrain.work", "mail.example.com"]),
        ("WORK_EMAIL_DOMAINS", ["*"]),
        ("EVENT_RETENTION_DAYS", 0),
        ("REMOVAL_BREAKER", 1),
        ("CONNECT_TIMEOUT", 1),
        ("ADAPTER", f"{HERE}.Adapter"),
        ("MIDDLEWARE", ["django.contrib.auth.middleware.LoginRequiredMiddleware"]),
        ("MIDDLEWARE", ["django.middleware.csrf.CsrfViewMiddleware", "core.middleware.DisableCSRF"]),
        ("LOGIN_URL", "login"),
        ("LOGIN_URL", "/accounts/login/?theme=dark"),
        ("LOGIN_URL", "/accounts/login"),
        ("SECURE_PROXY_SSL_HEADER", (SSL, "https")),
        ("SECURE_PROXY_SSL_HEADER", ("HTTP_X_FORWARDED_SSL", "on")),
        ("ROOT_URLCONF", Patterns(OURS, re_path("^(?P<rest>.*)$", anything))),
    ],
)
def test_what_is_right_is_not_complained_about(key: str, value: Any, settings: Any) -> None:
    use(settings, key, value)
    assert ids() == []


@pytest.mark.parametrize(("key", "url"), [("PUBLIC_URL", LOCAL), ("BASE_URL", "http://127.0.0.1:8800")])
def test_a_developers_machine_is_fine_until_it_is_deployed(key: str, url: str, settings: Any) -> None:
    use(settings, key, url)
    assert ids(deploy=False) == []
    settings.DEBUG = True
    assert ids() == []


@pytest.mark.parametrize("key", ["PUBLIC_URL", "BASE_URL"])
def test_plain_http_is_for_debugging(key: str, settings: Any) -> None:
    settings.DEBUG = True
    use(settings, key, "http://opentrain.internal:8800")
    assert ids() == []


@pytest.mark.parametrize(
    ("backend", "host", "expected"),
    [
        *((f"django.core.mail.backends.{name}", "", ["W015"]) for name in DEVELOPMENT_BACKENDS),
        *(
            ("django.core.mail.backends.smtp", host, ["W015"])
            for host in ("", "LOCALHOST", "127.0.0.1", "::1")
        ),
        ("anymail.backends.mailgun", "", []),
    ],
)
def test_mails_that_would_reach_no_trainer(
    backend: str, host: str, expected: list[str], settings: Any
) -> None:
    mail_by(settings, backend, host)
    assert ids() == expected
    assert ids(deploy=False) == []
    for adapter in ("InvitingAdapter", "SilentAdapter"):
        with override_settings(OPENTRAIN={**settings.OPENTRAIN, "ADAPTER": f"{HERE}.{adapter}"}):
            assert ids() == []
    settings.DEBUG = True
    assert ids() == []


@pytest.mark.skipif(django.VERSION < (6, 1), reason="there are no MAILERS")
def test_the_chosen_mailer_is_judged(settings: Any) -> None:
    settings.MAILERS = {
        "default": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"},
        "trainers": settings.MAILERS["trainers"],
    }
    assert ids() == ["W015"]
    use(settings, "MAILER", "trainers")
    assert ids() == []
    use(settings, "MAILER", "default")
    settings.MAILERS = {"default": {"OPTIONS": {"host": "smtp.example.com"}}}
    assert ids() == []
    settings.MAILERS = {}
    assert ids() == ["W015"]
    del settings.MAILERS
    assert ids() == ["W015"]


@pytest.mark.skipif(django.VERSION < (6, 1), reason="there are no MAILERS")
@pytest.mark.parametrize("options", [{}, {"OPTIONS": {}}, {"OPTIONS": {"port": 25}}])
def test_a_mailer_without_a_host_sends_nothing(options: dict[str, Any], settings: Any) -> None:
    """Django raises ``InvalidMailer`` for the first mail. It doesn't take this machine, as ``EMAIL_HOST`` does."""
    settings.MAILERS = {"default": options}
    assert [message.msg for message in found()] == ["First-login mails can't be sent: MAILERS names no host."]
    mail: Any = import_module("django.core.mail")
    with pytest.raises(mail.InvalidMailer, match="must define 'host'"):
        mail.mailers["default"]


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("TENANT_APPS", ["django.contrib.contenttypes", "rest_framework"], []),
        ("TENANT_APPS", ("django_opentrain",), ["E036"]),
        ("TENANT_APPS", ["django_opentrain.apps.DjangoOpenTrainConfig"], ["E036"]),
        ("TENANT_APPS", ["django.contrib.auth"], ["E036"]),
        ("TENANT_APPS", ["django.contrib.auth", "django_opentrain"], ["E036", "E036"]),
        ("TENANT_TYPES", {"public": {"APPS": ["django_opentrain"]}, "team": {"APPS": []}}, []),
        ("TENANT_TYPES", {"public": {"APPS": []}, "team": {"APPS": ["django_opentrain"]}}, ["E036"]),
    ],
)
def test_the_tables_are_in_the_schema_that_all_share(
    setting: str, value: object, expected: list[str], settings: Any
) -> None:
    settings.SHARED_APPS = settings.INSTALLED_APPS
    setattr(settings, setting, value)
    assert ids() == expected


def test_an_observer_with_its_middleware_is_fine(settings: Any) -> None:
    use(settings, "ADAPTER", f"{HERE}.ObservingAdapter")
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, ObservingAdapter.observer_middleware]
    assert ids() == []


def test_a_similar_key_is_proposed(settings: Any) -> None:
    use(settings, "APP_SLAG", "x")
    [message] = found()
    assert "Is it APP_SLUG?" in str(message.hint)


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("ENCRYPTION_KEYS", ["secret-that-is-no-key"]),
        ("ENCRYPTION_KEYS", "secret-that-is-no-key"),
        ("PUBLIC_URL", "https://me:secret-that-is-no-key@annotate.example.com"),
    ],
)
def test_no_message_shows_a_secret(key: str, secret: Any, settings: Any) -> None:
    use(settings, key, secret)
    messages = found()
    assert messages
    assert not [message for message in messages if "secret-that-is-no-key" in str(message)]


# Documents ------------------------------------------------------------------------------------


def test_every_id_is_tried_here() -> None:
    elsewhere = {
        "W005",
        "W006",
        "W007",
        "W008",
        "W012",
        "W013",
        "W016",
        "W017",
        "W019",
        "W020",
        "E030",
        "E036",
        "E039",
    }
    assert {name for name, _key, _values in WRONG} | elsewhere == set(meanings())

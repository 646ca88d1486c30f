"""What went wrong is stored as a code and a text, and what comes from inside the host is for its operators only."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.db.models.signals import post_init
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.urls import reverse

from django_opentrain.adapters import AdapterError
from django_opentrain.errors import BusyError, LinkConflict, UndecryptableError
from django_opentrain.explanations import INTERNAL_ERROR, NOTE, Reason, reason_for_customers
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform import errors
from django_opentrain.services import reconcile
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db

ADDRESS = "10.0.0.7:8080"
ASK = "Ask this site's administrators for details."
#: Where rows keep what went wrong.
COLUMNS: list[tuple[type[Model], str]] = [
    (Install, "last_error"),
    (ProjectLink, "last_error"),
    (AccessGrant, "last_error"),
    (WebhookEndpoint, "last_error"),
    (WebhookEvent, "error"),
    (Contract, "report_error"),
    (Contract, "announce_error"),
    (Contract, "collect_error"),
    (DailyUsage, "error"),
]
STATUS = Template("{% load opentrain %}{% opentrain_project_status 'p1' %}")
REASON = Template("{% load opentrain_pages %}{{ row|reason:column }}")


class NotFound(Exception):  # noqa: N818 - the host's own, named like one of OpenTrain's
    """What an HTTP client of the host's raises, with the address that it asked."""


@pytest.fixture
def broken(opentrain: OpenTrain, site: Host) -> list[tuple[Model, str]]:
    """Rows that keep what a host said whose every part is broken, with the columns."""
    error = NotFound(f"http://{ADDRESS}/projects/p1/ is gone")

    def fail(instance: Contract, **_arguments: object) -> None:
        if instance.pk is None:
            raise error

    opentrain.connect()
    opentrain.link("p1")
    site.failing = dict.fromkeys(("grant_access", "collect_usage"), error)
    opentrain.hire("Maria S.")
    opentrain.run()
    post_init.connect(fail, sender=Contract)
    try:
        opentrain.hire("Ken T.")
        opentrain.run()
        reconcile.request_all()
        reconcile.run_due()
    finally:
        post_init.disconnect(fail, sender=Contract)
    return [
        (AccessGrant.objects.get(), "last_error"),
        (Contract.objects.get(), "collect_error"),
        (WebhookEvent.objects.get(status=WebhookEvent.Status.PENDING), "error"),
        (Install.objects.get(), "last_error"),
    ]


def urls(rows: list[tuple[Model, str]]) -> list[str]:
    """Every page and every answer of the API that shows one of them."""
    grant, contract, event, install = (row for row, _column in rows)
    assert isinstance(grant, AccessGrant)
    return [
        reverse("opentrain:home"),
        reverse("opentrain:contracts"),
        reverse("opentrain:contract", args=[contract.pk]),
        reverse("opentrain:api-install-detail", args=[install.pk]),
        reverse("opentrain:api-contract-detail", args=[contract.pk]),
        reverse("opentrain:api-event-detail", args=[event.pk]),
    ]


@pytest.mark.long
def test_what_a_broken_host_says_is_for_its_operators(
    broken: list[tuple[Model, str]], client: Client
) -> None:
    """Its exception is named like one of ours: no name decides who may read a text."""
    for row, column in broken:
        assert ADDRESS in getattr(row, column), row
        assert getattr(row, f"{column}_code") == INTERNAL_ERROR
        assert reason_for_customers(row, column) == ASK
        assert REASON.render(Context({"row": row, "column": column})) == ASK.replace("'", "&#x27;")
    client.force_login(factories.make_user("boss"))
    shown = {url: client.get(url) for url in urls(broken)}
    assert {url: page.status_code for url, page in shown.items()} == dict.fromkeys(shown, 200)
    assert [url for url, page in shown.items() if ADDRESS in page.content.decode()] == []
    request = RequestFactory().get("/")
    request.user = User.objects.get()
    assert ADDRESS not in STATUS.render(Context({"request": request}))


@pytest.mark.long
def test_operators_read_it(broken: list[tuple[Model, str]], admin_client: Client) -> None:
    for row, _column in broken:
        page = admin_client.get(
            reverse(f"admin:django_opentrain_{row._meta.model_name}_change", args=[row.pk])
        )
        assert f"NotFound: http://{ADDRESS}" in page.content.decode()


@pytest.mark.parametrize(
    ("error", "reason", "shown"),
    [
        (AdapterError("No seats."), Reason("No seats.", "CONFLICT"), "No seats."),
        (LinkConflict("To another job."), Reason("To another job.", "CONFLICT"), "To another job."),
        (
            errors.NotFound("No such job.", status=404, code="NOT_FOUND", request_id="req_1"),
            Reason("No such job. (request req_1)", "OPENTRAIN_NOT_FOUND"),
            "No such job. (request req_1)",
        ),
        (BusyError("Wait."), Reason("Wait.", "BUSY"), "Wait."),
        (
            UndecryptableError("ENCRYPTION_KEYS"),
            Reason("UndecryptableError: ENCRYPTION_KEYS", "SECRET_UNREADABLE"),
            "The key with which it was encrypted is missing, or it is another row's.",
        ),
        (
            AdapterError("maria@opentrain.work has no seat"),
            Reason("[e-mail] has no seat", "CONFLICT"),
            "[e-mail] has no seat",
        ),
        (KeyError("seat"), Reason("KeyError: 'seat'", INTERNAL_ERROR), ASK),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_the_reason_that_an_error_is(error: Exception, reason: Reason, shown: str) -> None:
    assert Reason.of(error) == reason
    grant = AccessGrant()
    reason.put(grant, "last_error")
    assert reason_for_customers(grant, "last_error") == shown


def test_what_an_error_says_is_not_for_customers_is_not_told_them() -> None:
    class InsideError(AdapterError):
        public = False

    assert Reason.of(InsideError(ADDRESS)) == Reason(f"InsideError: {ADDRESS}", INTERNAL_ERROR)


def test_a_text_without_a_code_is_told_nobody() -> None:
    assert reason_for_customers(AccessGrant(last_error=ADDRESS), "last_error") == ASK


def test_a_sentence_of_ours_is_for_customers() -> None:
    assert Reason.note("It was gone.") == Reason("It was gone.", NOTE)
    assert Reason.note("") == Reason("", "")


@pytest.mark.parametrize(("model", "column"), COLUMNS, ids=lambda value: getattr(value, "__name__", value))
def test_every_reason_has_its_code_beside_it(model: type[Model], column: str) -> None:
    row: Any = model()
    Reason.note("Why.").put(row, column)
    assert reason_for_customers(row, column) == "Why."
    model._meta.get_field(f"{column}_code")


def test_no_row_keeps_a_reason_elsewhere() -> None:
    kept = {
        (model, field.name)
        for model in {model for model, _column in COLUMNS}
        for field in model._meta.get_fields()
        if field.name.endswith("error")
    }
    assert kept == set(COLUMNS)


def test_no_row_that_a_database_quotes_is_kept() -> None:
    """SQLite names the columns only; PostgreSQL and MariaDB quote the values, which may be a trainer's name."""
    factories.make_user("Maria Souza's account")
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        factories.make_user("Maria Souza's account")
    text = Reason.of(caught.value).text
    assert "Maria" not in text
    assert "IntegrityError" in text
    assert "username" in text

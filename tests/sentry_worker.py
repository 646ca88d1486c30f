"""A worker with Sentry's real SDK in its default options; prints, as JSON, what would be sent for failing tasks.

A process of its own: the SDK patches Celery and Django for good.
"""

from __future__ import annotations

import http.client
import json
import os
import smtplib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest import mock

import django
import sentry_sdk
from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import override_settings
from django.test.utils import setup_test_environment

from tests.undone import undone
from tests.web.sentry_site import Keep, sent

SECRET = "SECRET"
EMAIL = f"maria.{SECRET}@opentrain.work"


@shared_task
def control() -> None:
    """Shows that such a variable would be sent."""
    account = EMAIL
    raise RuntimeError(len(account))


@contextmanager
def failing_for_users() -> Iterator[None]:
    """The table of the site's users can't be written."""

    def fail(execute: Callable[..., Any], sql: str, *more: Any) -> Any:
        if "INSERT" in sql and "auth_user" in sql:
            raise OperationalError
        return execute(sql, *more)

    with connection.execute_wrapper(fail):
        yield


def stopping(target: object, name: str) -> AbstractContextManager[object]:
    """Celery's soft time limit strikes in there."""

    def stop(*_args: object, **_kwargs: object) -> NoReturn:
        raise SoftTimeLimitExceeded

    return mock.patch.object(target, name, stop)


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    sentry_sdk.init(dsn="https://key@sentry.invalid/1", transport=Keep)
    django.setup()
    setup_test_environment()
    call_command("migrate", verbosity=0)

    from django_opentrain import tasks
    from django_opentrain.conf import conf
    from django_opentrain.models import AccessGrant
    from django_opentrain.services import access
    from tests import factories
    from tests.mail_servers import postbox, send_by
    from tests.platform.scripted_server import serving
    from tests.testing.hosts import GroupAdapter

    install = factories.make_install("acme", token=f"ot_ptk_{SECRET}")
    link = factories.make_link(install, external_project_id="1")
    person = factories.make_participant(install, work_email=EMAIL)
    contract = factories.make_contract(install, [link], opentrain_id="ctr_1")
    grant = factories.make_grant(contract, link, person, state="PENDING", host_user_ref="")

    def report(task: Any, *args: object, given: bool, during: AbstractContextManager[object]) -> list[Any]:
        """What is sent when the task fails; with ``given``, access was given before."""
        with undone():
            if given:
                access.converge(AccessGrant.objects.get())
            sent.clear()
            with during:
                task.apply(args)
        return list(sent)

    found: dict[str, list[Any]] = {}
    options = {**django.conf.settings.OPENTRAIN, "ADAPTER": f"{GroupAdapter.__module__}.GroupAdapter"}
    with postbox() as box, serving() as server:
        server.answers(
            200, {"participants": [{"opentrainUserId": person.opentrain_user_id, "workEmail": EMAIL}]}
        )
        mail_settings = SimpleNamespace()
        send_by(mail_settings, box.port)
        with override_settings(OPENTRAIN={**options, "BASE_URL": server.url}, **vars(mail_settings)):
            assert conf.base_url == server.url
            found["control"] = report(control, given=False, during=mock.MagicMock())
            for name, during in {
                "grant, database": failing_for_users(),
                "grant, stopped": stopping(GroupAdapter, "open_project"),
            }.items():
                found[name] = report(tasks.converge_access, grant.pk, given=False, during=during)
            for name, during in {
                "mail, refused": mock.patch.object(box, "refuses", True),
                "mail, stopped at the recipient": stopping(smtplib.SMTP, "rcpt"),
                "mail, stopped at the text": stopping(smtplib.SMTP, "data"),
            }.items():
                found[name] = report(tasks.drain, given=True, during=during)
            for name, during in {
                "call, no answer": mock.MagicMock(),
                "call, stopped": stopping(http.client.HTTPConnection, "getresponse"),
            }.items():
                found[name] = report(tasks.reconcile_install, install.pk, given=False, during=during)
    print(json.dumps(found))  # noqa: T201 - its result


if __name__ == "__main__":
    main()

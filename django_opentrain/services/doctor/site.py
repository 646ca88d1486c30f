"""The site itself: database, settings, cache, and the way to the receiver."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.cache import cache as default_cache
from django.db import Error as AnyDatabaseError
from django.db import connections, router
from django.db.migrations.executor import MigrationExecutor
from django.test import Client

from django_opentrain.adapters import get_adapter, mail
from django_opentrain.conf import conf
from django_opentrain.errors import MailServerError
from django_opentrain.models import Install
from django_opentrain.services.doctor.findings import Finding, error, warning

APP: Final = "django_opentrain"
#: Seconds for which the cache may keep the test value.
CACHE_SECONDS: Final = 10


def database() -> Iterator[Finding]:
    """Is it reachable, and does it have our tables?"""
    connection = connections[router.db_for_write(Install)]
    try:
        executor = MigrationExecutor(connection)
    except AnyDatabaseError as problem:
        # Only the type: a database's message can hold its password.
        yield error("database-unreachable", f"The database can't be queried ({type(problem).__name__}).")
        return
    targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] == APP]
    missing = [str(migration) for migration, _backwards in executor.migration_plan(targets)]
    if missing:
        title = f"Unapplied migrations: {len(missing)}."
        yield error("migrations-missing", title, missing, migrations=missing)


def system_checks() -> Iterator[Finding]:
    """What ``check --deploy`` reports about our settings."""
    for message in checks.run_checks(
        tags=["opentrain"], include_deployment_checks=True, databases=list(connections)
    ):
        if not message.is_silenced():
            report = error if message.is_serious() else warning
            title = f"{message.id}: {message.msg}"
            yield report("check-failed", title, advice=message.hint, check=message.id)


def cache() -> Iterator[Finding]:
    """Does the default cache work?"""
    key = f"opentrain-doctor-{uuid.uuid4().hex}"
    try:
        default_cache.set(key, "1", CACHE_SECONDS)
        default_cache.delete(key)
    except Exception as problem:  # noqa: BLE001 - each cache has its own errors
        yield warning("cache-failing", f"The default cache fails ({type(problem).__name__}).")


def mail_server() -> Iterator[Finding]:
    """Can mails for a first login be sent? Nothing is sent."""
    if not get_adapter().sends_first_login:
        return
    try:
        mail.check_server()
    except MailServerError as problem:
        yield error("mail-unreachable", f"No mail can be sent. {problem}", code=problem.code)


def receiver() -> Iterator[Finding]:
    """Does a delivery get through all of the site's middleware?

    One for an unknown endpoint is sent, in this process: the receiver itself answers 404 without a body.
    """
    url = urlsplit(conf.view_url("webhook", key=uuid.uuid4()))
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    with _unlogged():
        answer = client.post(
            url.path.removeprefix(conf.public_path),
            data=b"{}",
            content_type="application/json",
            secure=url.scheme == "https",
            SCRIPT_NAME=conf.public_path,
            **_as_forwarded(url.netloc),
        )
    ours = answer.status_code == HTTPStatus.NOT_FOUND and not answer.content
    if not ours:
        title = f"A delivery to {url.path} is answered {answer.status_code} before it reaches the receiver."
        location = answer.get("Location", "")
        details = [f"It is redirected to {location}"] if location else []
        advice = ""
        if answer.status_code == HTTPStatus.BAD_REQUEST:
            advice = f"Add {url.hostname}, the host of PUBLIC_URL, to ALLOWED_HOSTS."
        yield error(
            "receiver-unreachable", title, details, advice, status=answer.status_code, location=location
        )


@contextmanager
def _unlogged() -> Iterator[None]:
    """Django would log that a URL was not found, or a host not allowed, which the finding reports."""

    def is_news(record: logging.LogRecord) -> bool:
        return record.name == "django.request" and record.levelno >= logging.ERROR

    loggers = [logging.getLogger(name) for name in ("django.request", "django.security.DisallowedHost")]
    for logger in loggers:
        logger.addFilter(is_news)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_news)


def _as_forwarded(host: str) -> dict[str, Any]:
    """What a proxy in front would add."""
    header = settings.SECURE_PROXY_SSL_HEADER
    return {"HTTP_HOST": host, **({header[0]: header[1]} if header else {})}

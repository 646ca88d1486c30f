"""OpenTrain's side: is it reachable, does it accept our tokens, and do its deliveries reach us?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from django.db.models import F
from django.utils import timezone as django_timezone

from django_opentrain.clients import build_client, shared_session
from django_opentrain.conf import conf
from django_opentrain.errors import UndecryptableError
from django_opentrain.models import Install, WebhookEndpoint
from django_opentrain.platform import catalog, operations, spec
from django_opentrain.platform.deadlines import Attempt, attempting
from django_opentrain.platform.errors import Forbidden, OpenTrainError, Unauthorized
from django_opentrain.platform.redaction import describe
from django_opentrain.platform.resources import WebhookEndpointInfo
from django_opentrain.platform.transport import NO_TOKEN, USER_AGENT
from django_opentrain.services.conditions import CONDITIONS
from django_opentrain.services.connect import missing_scopes
from django_opentrain.services.connect.tokens import require_own_token
from django_opentrain.services.doctor.findings import Finding, error, warning
from django_opentrain.services.doctor.formatting import customer

#: Seconds. A ``Date`` header is exact to one, and the response takes time.
NOTICEABLE_SKEW: Final = 30
#: Installs that are asked about in one examination, the longest unverified first, and seconds that it may take.
MOST_INSTALLS: Final = 100
MOST_SECONDS: Final = 60.0
SHOWN: Final = 10

FORBIDDEN: Final = (
    "Check on OpenTrain that your app and the feature on the customer's account are active. If they are, the"
    " customer has to connect again."
)


def opentrain() -> Iterator[Finding]:
    """All of it, if OpenTrain can be reached."""
    try:
        skew = _skew()
    except (requests.RequestException, OSError, ValueError) as problem:
        # Only the host: what is wrong may be that the URL has a password in it.
        host = urlsplit(conf.base_url).hostname
        title = f"OpenTrain doesn't answer at {host} ({type(problem).__name__})."
        yield error("opentrain-unreachable", title)
        return
    yield from _clock(skew)
    yield from _spec()
    yield from _installs()


def _clock(skew: float | None) -> Iterator[Finding]:
    if skew is None or abs(skew) <= NOTICEABLE_SKEW:
        return
    report = error if abs(skew) > conf.signature_tolerance else warning
    title = (
        f"This machine's clock is {abs(skew):.0f} seconds {'behind' if skew > 0 else 'ahead of'} OpenTrain's."
    )
    yield report("clock-skewed", title, seconds=round(skew))


def _skew() -> float | None:
    """Seconds by which OpenTrain's clock is ahead; None if it doesn't say."""
    url = f"{conf.base_url}{catalog.API_PATH}{operations.GET_OPENAPI.path}"
    before = django_timezone.now()
    with (
        attempting(Attempt(seconds=conf.read_timeout)),
        shared_session().get(
            url,
            timeout=(conf.connect_timeout, conf.read_timeout),
            headers={"User-Agent": USER_AGENT},
            auth=NO_TOKEN,
            allow_redirects=False,
            stream=True,
        ) as response,
    ):
        after = django_timezone.now()
        theirs = _moment(response.headers.get("Date", ""))
    return None if theirs is None else (theirs - before - (after - before) / 2).total_seconds()


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _spec() -> Iterator[Finding]:
    try:
        differences = spec.compare(build_client("").get_openapi())
    except OpenTrainError as problem:
        yield error("opentrain-unreachable", f"OpenTrain's API fails: {describe(problem)}")
        return
    except spec.NotASpecError as problem:
        yield warning("spec-changed", f"OpenTrain's document can't be compared: {problem}")
        return
    serious = [each for each in differences if each.kind > spec.Kind.HARMLESS]
    if serious:
        report = error if serious[0].kind == spec.Kind.BREAKING else warning
        title = f"Differences between OpenTrain's API and what this package expects: {len(serious)}."
        shown = [str(each) for each in serious[:SHOWN]]
        yield report("spec-changed", title, shown, count=len(serious), differences=shown)


# Installs -------------------------------------------------------------------------------------


def _installs() -> Iterator[Finding]:
    """OpenTrain is asked about each in turn: the next examination continues where this one ends."""
    oldest = F("verified_at").asc(nulls_first=True)
    rows = list(Install.objects.usable().order_by(oldest, "pk")[:MOST_INSTALLS])
    deadline = time.monotonic() + MOST_SECONDS
    for number, install in enumerate(rows):
        if time.monotonic() > deadline:
            title = f"OpenTrain is slow: {number} of {len(rows)} installs were checked in {MOST_SECONDS:g} seconds."
            yield warning("install-unverified", title)
            return
        yield from _install(install)


def _install(install: Install) -> Iterator[Finding]:
    about: dict[str, Any] = {"install": install.pk, "tenant": install.tenant}
    who = customer(install)
    # Asked first: the call itself records a refusal.
    known = _is_known("install-refused", pk=install.pk)
    try:
        info = install.client.get_install()
        require_own_token(install, info)
        Install.objects.filter(pk=install.pk).update(verified_at=django_timezone.now())
        yield from _grant(install, info.scopes, info.pii_consent)
        if install.has_scope(catalog.WEBHOOKS_MANAGE):
            yield from _endpoints(install)
    except UndecryptableError:
        title = f"The token of {who} can't be decrypted, or is another install's."
        yield error("secrets-undecryptable", title, **about)
    except (Unauthorized, Forbidden) as problem:
        if known:
            return
        title = f"OpenTrain refuses {who}: {describe(problem)}"
        advice = FORBIDDEN if isinstance(problem, Forbidden) else None
        yield error("install-refused", title, (), advice, **about)
    except OpenTrainError as problem:
        yield warning("install-unverified", f"Could not verify {who}: {describe(problem)}", **about)


def _grant(install: Install, scopes: tuple[str, ...], pii_consent: bool) -> Iterator[Finding]:
    """What the customer has granted, according to OpenTrain."""
    install.scopes = list(scopes)
    missing = list(missing_scopes(install))
    if catalog.PARTICIPANTS_EMAIL in conf.scopes and not pii_consent:
        missing.append("the PII consent")
    if missing:
        title = f"{customer(install)} did not grant {', '.join(missing)}."
        yield warning(
            "scopes-missing",
            f"{title[0].upper()}{title[1:]}",
            install=install.pk,
            tenant=install.tenant,
            missing=missing,
        )


# Endpoints ------------------------------------------------------------------------------------


def _endpoints(install: Install) -> Iterator[Finding]:
    remote = {info.id: info for info in install.client.list_webhook_endpoints()}
    replaced = (WebhookEndpoint.Status.RETIRING, WebhookEndpoint.Status.PENDING)
    current = WebhookEndpoint.objects.live().filter(install=install).exclude(status__in=replaced)
    matched = [
        (endpoint, remote[endpoint.opentrain_id]) for endpoint in current if endpoint.opentrain_id in remote
    ]
    if not matched and not _is_known("endpoint-missing", install=install):
        title = f"OpenTrain has no webhook endpoint of ours for {customer(install)}: no event arrives."
        yield error("endpoint-missing", title, install=install.pk, tenant=install.tenant)
    for endpoint, info in matched:
        yield from _endpoint(endpoint, info)


def _endpoint(endpoint: WebhookEndpoint, info: WebhookEndpointInfo) -> Iterator[Finding]:
    install = endpoint.install
    about: dict[str, Any] = {"endpoint": endpoint.pk, "install": install.pk, "tenant": install.tenant}
    whose = f"The endpoint of {customer(install)}"
    failures = f"consecutive failed deliveries: {info.consecutive_failures}"
    if info.status == catalog.ENDPOINT_DISABLED:
        if not _is_known("endpoint-disabled", pk=endpoint.pk) and not _is_known(
            "endpoint-paused", pk=endpoint.pk
        ):
            yield error("endpoint-disabled", f"{whose} is disabled on OpenTrain; {failures}.", **about)
    elif info.consecutive_failures and not _is_known("endpoint-failing", pk=endpoint.pk):
        title = f"{whose} is failing: {failures}."
        yield warning("endpoint-failing", title, failures=info.consecutive_failures, **about)
    if info.url != endpoint.expected_url:
        details = [f"its URL is {info.url}", f"it should be {endpoint.expected_url}"]
        yield error(
            "endpoint-differs",
            f"{whose} has another URL.",
            details,
            url=info.url,
            expected=endpoint.expected_url,
            **about,
        )
    elif set(info.event_types) != set(conf.event_types):
        differing = sorted(set(info.event_types) ^ set(conf.event_types))
        title = f"{whose} subscribes to other event types than EVENT_TYPES says: {', '.join(differing)}."
        yield warning("endpoint-differs", title, event_types=sorted(info.event_types), **about)


def _is_known(name: str, **row: Any) -> bool:
    """Whether what OpenTrain says is stored here, too: then it is reported with all other rows of that condition."""
    return CONDITIONS[name].rows().filter(**row).exists()

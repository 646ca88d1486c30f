"""OpenTrain's side: is it there, does it know us, and do its deliveries come to us?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Final

import requests
from django.utils import timezone as django_timezone

from django_opentrain.clients import shared_session, unobserved_client
from django_opentrain.conf import conf
from django_opentrain.crypto import UndecryptableError
from django_opentrain.models import Install, WebhookEndpoint
from django_opentrain.platform import catalog, operations, spec
from django_opentrain.platform.errors import Forbidden, OpenTrainError, Unauthorized
from django_opentrain.platform.resources import WebhookEndpointInfo
from django_opentrain.platform.transport import NO_TOKEN, USER_AGENT
from django_opentrain.services.connect import missing_scopes
from django_opentrain.services.doctor.findings import Finding, error, warning
from django_opentrain.text import describe

#: Seconds. A ``Date`` header is exact to one, and the answer takes its time.
NOTICEABLE_SKEW: Final = 30
#: Installs that are asked about in one examination, the longest unverified first.
MOST_INSTALLS: Final = 100
SHOWN: Final = 5


def opentrain() -> Iterator[Finding]:
    """All of it, as far as OpenTrain can be reached."""
    try:
        skew = _skew()
    except (requests.RequestException, OSError, ValueError) as problem:
        yield error("opentrain-unreachable", f"OpenTrain doesn't answer ({type(problem).__name__}).")
        return
    if skew is not None and abs(skew) > NOTICEABLE_SKEW:
        report = error if abs(skew) > conf.signature_tolerance else warning
        title = f"This machine's clock and OpenTrain's differ by {abs(skew):.0f} seconds."
        yield report("clock-skewed", title, seconds=round(skew))
    yield from _spec()
    for install in Install.objects.live().order_by("verified_at", "pk")[:MOST_INSTALLS]:
        yield from _install(install)


def _skew() -> float | None:
    """Seconds by which OpenTrain's clock is ahead; None where it doesn't tell."""
    url = f"{conf.base_url}{catalog.API_PATH}{operations.GET_OPENAPI.path}"
    before = django_timezone.now()
    with shared_session().get(
        url,
        timeout=(conf.connect_timeout, conf.read_timeout),
        headers={"User-Agent": USER_AGENT},
        auth=NO_TOKEN,
        allow_redirects=False,
        stream=True,
    ) as response:
        after = django_timezone.now()
        there = _moment(response.headers.get("Date", ""))
    return None if there is None else (there - before - (after - before) / 2).total_seconds()


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _spec() -> Iterator[Finding]:
    try:
        differences = spec.compare(unobserved_client("").get_openapi())
    except (OpenTrainError, spec.NotASpecError) as problem:
        yield warning("spec-changed", f"OpenTrain's document can't be compared: {describe(problem)}")
        return
    serious = [each for each in differences if each.kind > spec.Kind.HARMLESS]
    if serious:
        report = error if serious[0].kind == spec.Kind.BREAKING else warning
        title = f"OpenTrain's API differs from what is expected in {len(serious)} places."
        yield report(
            "spec-changed", title, count=len(serious), differences=[str(each) for each in serious[:SHOWN]]
        )


def _install(install: Install) -> Iterator[Finding]:
    about = {"install": install.pk, "tenant": install.tenant}
    if install.status == Install.Status.UNAUTHORIZED:
        yield error("install-refused", f"OpenTrain refuses the token of {install}.", **about)
        return
    try:
        info = install.client.get_install()
        yield from _grant(install, info.scopes, info.pii_consent)
        if install.has_scope(catalog.WEBHOOKS_MANAGE):
            yield from _endpoints(install)
    except UndecryptableError:
        yield error("secrets-undecryptable", f"The token of {install} can't be decrypted.", **about)
    except (Unauthorized, Forbidden) as problem:
        yield error("install-refused", f"OpenTrain refuses {install}: {describe(problem)}", **about)
    except OpenTrainError as problem:
        yield warning("install-unverified", f"{install} could not be verified: {describe(problem)}", **about)


def _grant(install: Install, scopes: tuple[str, ...], pii_consent: bool) -> Iterator[Finding]:
    """What the customer granted, as OpenTrain has it now."""
    install.scopes = list(scopes)
    missing = list(missing_scopes(install))
    if catalog.PARTICIPANTS_EMAIL in conf.scopes and not pii_consent:
        missing.append("the PII consent")
    if missing:
        title = f"{install} lacks {', '.join(missing)}."
        yield warning("scopes-missing", title, install=install.pk, tenant=install.tenant, missing=missing)


# Endpoints ------------------------------------------------------------------------------------


def _endpoints(install: Install) -> Iterator[Finding]:
    there = {info.id: info for info in install.client.list_webhook_endpoints()}
    replaced = (WebhookEndpoint.Status.RETIRING, WebhookEndpoint.Status.PENDING)
    current = WebhookEndpoint.objects.live().filter(install=install).exclude(status__in=replaced)
    known = [
        (endpoint, there[endpoint.opentrain_id]) for endpoint in current if endpoint.opentrain_id in there
    ]
    if not known:
        title = f"OpenTrain has no webhook endpoint of ours for {install}: no event comes."
        yield error("endpoint-missing", title, install=install.pk, tenant=install.tenant)
    for endpoint, info in known:
        yield from _endpoint(endpoint, info)


def _endpoint(endpoint: WebhookEndpoint, info: WebhookEndpointInfo) -> Iterator[Finding]:
    about = {"endpoint": endpoint.pk, "tenant": endpoint.install.tenant}
    if info.status == catalog.ENDPOINT_DISABLED:
        paused = endpoint.status == WebhookEndpoint.Status.PAUSED
        how = "paused by an operator" if paused else "disabled by OpenTrain"
        title = f"The endpoint of {endpoint.install} is {how}."
        yield (warning if paused else error)("endpoint-disabled", title, **about)
    elif info.consecutive_failures:
        title = f"The last {info.consecutive_failures} deliveries to {endpoint.install} failed."
        yield warning("endpoint-failing", title, failures=info.consecutive_failures, **about)
    if info.url != endpoint.expected_url:
        title = f"The endpoint of {endpoint.install} leads elsewhere."
        yield error("endpoint-differs", title, url=info.url, expected=endpoint.expected_url, **about)
    elif set(info.event_types) != set(conf.event_types):
        title = f"The endpoint of {endpoint.install} subscribes to other event types than EVENT_TYPES says."
        yield warning("endpoint-differs", title, event_types=sorted(info.event_types), **about)

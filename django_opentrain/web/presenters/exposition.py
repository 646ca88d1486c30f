"""Metrics in the formats that monitors read: OpenMetrics 1.0, and Prometheus' own text.

Needs the package ``prometheus-client``, so it is imported only where metrics are asked for. What it shows is read
from the database at each scrape, and so is the same whichever process answers; prometheus-client's own registry,
with what one process counts, stays the site's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from django.db.models import Model
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from django_opentrain.clients import LATENCIES
from django_opentrain.models import AccessGrant, Contract, Counter, Install, WebhookEndpoint
from django_opentrain.services.metrics import Snapshot

#: By model: the metric, what it says, and the labels of the columns by which its rows are counted.
STATES: Final[dict[type[Model], tuple[str, str, tuple[str, ...]]]] = {
    Install: ("opentrain_installs", "Connections by status.", ("status",)),
    WebhookEndpoint: ("opentrain_webhook_endpoints", "Webhook endpoints by status.", ("status",)),
    AccessGrant: (
        "opentrain_access_grants",
        "Access grants, as wanted and as they are.",
        ("desired", "state"),
    ),
    Contract: ("opentrain_contracts", "Contracts by status and budget.", ("status", "budget_state")),
}


def render(snapshot: Snapshot, accept: str) -> tuple[bytes, str]:
    """The page and its content type; ``accept``: what the monitor's header asks for."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Prepared(families(snapshot)))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Prepared(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families

    def describe(self) -> Iterable[Metric]:
        return []


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """Each metric, with what it says, which is also its row in docs/how-to/monitor.md (``tests/reference``)."""
    conditions = GaugeMetricFamily(
        "opentrain_condition_rows",
        "Rows in each named condition (docs/runbooks/index.md), 0 included; of beat-silent and clock-set-back 1"
        " or 0.",
        labels=("condition", "severity"),
    )
    for labels, count in snapshot.conditions.items():
        conditions.add_metric(labels, count)
    yield conditions
    for model, (name, text, columns) in STATES.items():
        gauge = GaugeMetricFamily(name, text, labels=columns)
        for values, count in sorted(snapshot.states[model].items()):
            gauge.add_metric([value.lower() for value in values], count)
        yield gauge
    yield from _events(snapshot)
    usage = GaugeMetricFamily(
        "opentrain_usage_days",
        "Days of work that OpenTrain hasn't accepted: due, withheld, refused.",
        labels=("status",),
    )
    for status, count in snapshot.usage.items():
        usage.add_metric([status.lower()], count)
    yield usage
    beats = GaugeMetricFamily(
        "opentrain_last_run_timestamp_seconds",
        "When the sweep and other scheduled work last ran.",
        labels=("work",),
    )
    for name, beat_at in snapshot.beats.items():
        beats.add_metric([name], beat_at.timestamp())
    yield beats
    yield from _requests([each for each in snapshot.counters if each.metric == Counter.Metric.API_REQUESTS])


def _events(snapshot: Snapshot) -> Iterator[Metric]:
    pending = snapshot.pending
    yield GaugeMetricFamily("opentrain_events_pending", "Events that wait.", value=pending.count)
    age = (timezone.now() - pending.since).total_seconds() if pending.since else 0
    yield GaugeMetricFamily(
        "opentrain_events_oldest_pending_seconds",
        "The age of the oldest event that waits; 0 where none does.",
        value=age,
        unit="seconds",
    )
    counted = CounterMetricFamily(
        "opentrain_events",
        "Attempts to process an event: processed, ignored, retried (it failed, and is tried again), failed (it isn't"
        " any more).",
        labels=("type", "outcome"),
    )
    for each in snapshot.counters:
        if each.metric == Counter.Metric.EVENTS:
            counted.add_metric((each.label, each.detail.lower()), each.count)
    yield counted


def _requests(counters: Iterable[Counter]) -> Iterator[Metric]:
    by_status: dict[str, int] = defaultdict(int)
    by_bound: dict[str, int] = defaultdict(int)
    seconds = 0.0
    for each in counters:
        by_status[each.label] += each.count
        by_bound[each.detail] += each.count
        seconds += each.seconds
    requests = CounterMetricFamily(
        "opentrain_api_requests",
        "Requests to OpenTrain, retries included, by the response's status; 0: no response came.",
        labels=("status",),
    )
    for status, count in sorted(by_status.items()):
        requests.add_metric((status,), count)
    yield requests
    latency = HistogramMetricFamily(
        "opentrain_api_request_duration_seconds", "How long requests to OpenTrain took.", unit="seconds"
    )
    buckets, total = [], 0
    for bound in (*(f"{each:g}" for each in LATENCIES), "+Inf"):
        total += by_bound[bound]
        buckets.append((str(float(bound)) if bound != "+Inf" else bound, total))
    latency.add_metric((), buckets, sum_value=seconds)
    yield latency

"""The metrics, from what a scrape of an empty site shows of each."""

from __future__ import annotations

from prometheus_client.metrics_core import Metric

from django_opentrain.services.metrics import Snapshot
from django_opentrain.services.overview import Pending
from django_opentrain.web.presenters.exposition import STATES, families
from tests.reference.markdown import table


def metrics() -> str:
    """A row for each."""
    nothing = Snapshot(
        conditions={},
        states={model: {} for model in STATES},
        pending=Pending(count=0, since=None),
        usage={},
        beats={},
        counters=(),
    )
    return table("Metric", "Type", "Labels", "What it says", rows=map(_row, families(nothing)))


def _row(metric: Metric) -> tuple[str, ...]:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    labels = ", ".join(f"`{label}`" for label in getattr(metric, "_labelnames", ()))
    return f"`{name}`", metric.type, labels, metric.documentation

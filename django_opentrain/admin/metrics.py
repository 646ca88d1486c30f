"""Counters: what the metrics show to monitors."""

from __future__ import annotations

from django_opentrain.admin.base import OpenTrainAdmin


class CounterAdmin(OpenTrainAdmin):
    """How often what has happened. The rows are few."""

    list_display = ("metric", "label", "detail", "count", "seconds")
    list_filter = ("metric",)
    search_fields = ("label__icontains", "detail__icontains")
    ordering = ("metric", "label", "detail")
    fields = ("metric", "label", "detail", "count", "seconds")

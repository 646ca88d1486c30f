"""Heartbeats: whether scheduled work runs."""

from __future__ import annotations

from django.utils.translation import gettext_lazy

from django_opentrain.admin.base import OpenTrainAdmin
from django_opentrain.admin.columns import age_column


class HeartbeatAdmin(OpenTrainAdmin):
    """When the scheduled sweep last ran, and where."""

    list_display = ("name", "last_beat", "host")
    search_fields = ("name__icontains", "host__icontains")
    ordering = ("name",)
    fields = ("name", "beat_at", "host")

    last_beat = age_column("beat_at", gettext_lazy("last"))

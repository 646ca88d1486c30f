"""Heartbeats: when scheduled work last ran."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Heartbeat(models.Model):
    """When one kind of scheduled work last ran, and where."""

    name = models.CharField(_("name"), max_length=50, unique=True, help_text=_("What ran"))
    beat_at = models.DateTimeField(_("beat at"))
    host = models.CharField(_("host"), max_length=255, blank=True, help_text=_("The machine on which it ran"))

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")

    def __str__(self) -> str:
        return str(self.name)

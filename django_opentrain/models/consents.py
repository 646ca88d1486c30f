"""Consent requests: customers who were sent to OpenTrain's consent screen."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from django_opentrain.fields import IdField


class ConsentRequest(models.Model):
    """A customer who was sent to OpenTrain's consent screen; used once they return."""

    state = models.CharField(_("state"), max_length=64, unique=True, help_text=_("SHA-256 of the state"))
    tenant = IdField(_("customer"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="+"
    )
    external_project_id = IdField(_("external project id"), blank=True)
    next_url = models.CharField(_("next URL"), max_length=2048, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"), db_index=True)
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)

    class Meta:
        verbose_name = _("consent request")
        verbose_name_plural = _("consent requests")

    def __str__(self) -> str:
        return f"{self.tenant} ({self.created_at:%Y-%m-%d %H:%M})"

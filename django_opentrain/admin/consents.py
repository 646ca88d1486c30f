"""Consent requests: customers who were sent to OpenTrain's consent screen."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_opentrain.admin.base import OpenTrainAdmin
from django_opentrain.admin.columns import age_column, badge, column
from django_opentrain.admin.customers import customer_column
from django_opentrain.models import ConsentRequest


def _outcome(request: ConsentRequest) -> str:
    if request.used_at is not None:
        return badge(_("returned"), "good")
    if request.expires_at <= timezone.now():
        return badge(_("never returned"), "off")
    return badge(_("on the consent screen"), "busy")


class ConsentRequestAdmin(OpenTrainAdmin):
    """Customers who were sent to OpenTrain's consent screen. Only a hash of the state is stored; it isn't shown."""

    # Nothing depends on one, and its user must stay deletable.
    deletable = True

    list_display = ("customer", "user", "external_project_id", "sent", "outcome")
    list_select_related = ("user",)
    search_fields = ("tenant__icontains", "external_project_id__icontains")
    search_help_text = gettext_lazy("A part of the customer, or of the project's id")
    ordering = ("-pk",)
    fields = (
        "customer",
        "user",
        "external_project_id",
        "next_url",
        "outcome",
        "created_at",
        "expires_at",
        "used_at",
    )

    tenant_path = "tenant"
    customer = customer_column(tenant_path)
    sent = age_column("created_at", gettext_lazy("sent"))
    outcome = column(gettext_lazy("outcome"), _outcome)

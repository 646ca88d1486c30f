"""The admin: one module per aggregate. Imported by the admin's autodiscovery only.

A site with an ``AdminSite`` of its own calls ``django_opentrain.admin.register(site)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.contrib import admin
from django.db import models

from django_opentrain.admin.access import AccessGrantAdmin, TrainerAccountAdmin
from django_opentrain.admin.base import OpenTrainAdmin
from django_opentrain.admin.consents import ConsentRequestAdmin
from django_opentrain.admin.contracts import ContractAdmin, ParticipantAdmin
from django_opentrain.admin.heartbeats import HeartbeatAdmin
from django_opentrain.admin.installs import InstallAdmin
from django_opentrain.admin.links import ProjectLinkAdmin
from django_opentrain.admin.metrics import CounterAdmin
from django_opentrain.admin.usage import DailyUsageAdmin, UsageObjectionAdmin
from django_opentrain.admin.webhooks import WebhookEndpointAdmin, WebhookEventAdmin
from django_opentrain.admin.work import WorkEntryAdmin
from django_opentrain.models import (
    AccessGrant,
    ConsentRequest,
    Contract,
    Counter,
    DailyUsage,
    Heartbeat,
    Install,
    Participant,
    ProjectLink,
    TrainerAccount,
    UsageObjection,
    WebhookEndpoint,
    WebhookEvent,
    WorkEntry,
)

ADMINS: Final[Mapping[type[models.Model], type[OpenTrainAdmin]]] = {
    Install: InstallAdmin,
    ConsentRequest: ConsentRequestAdmin,
    ProjectLink: ProjectLinkAdmin,
    Contract: ContractAdmin,
    Participant: ParticipantAdmin,
    AccessGrant: AccessGrantAdmin,
    TrainerAccount: TrainerAccountAdmin,
    WebhookEndpoint: WebhookEndpointAdmin,
    WebhookEvent: WebhookEventAdmin,
    DailyUsage: DailyUsageAdmin,
    UsageObjection: UsageObjectionAdmin,
    WorkEntry: WorkEntryAdmin,
    Heartbeat: HeartbeatAdmin,
    Counter: CounterAdmin,
}


def register(site: admin.AdminSite) -> None:
    """Add every model to ``site``. Raises ``AlreadyRegistered`` where one is there already."""
    for model, model_admin in ADMINS.items():
        site.register(model, model_admin)


register(admin.site)

"""The models, one module per aggregate, each with its queryset."""

from django_opentrain.models.access import AccessGrant, TrainerAccount
from django_opentrain.models.consents import ConsentRequest
from django_opentrain.models.contracts import Contract, Participant
from django_opentrain.models.heartbeats import Heartbeat
from django_opentrain.models.installs import Install
from django_opentrain.models.links import ProjectLink
from django_opentrain.models.metrics import Counter
from django_opentrain.models.objections import UsageObjection
from django_opentrain.models.usage import DailyUsage
from django_opentrain.models.webhooks import WebhookEndpoint, WebhookEvent
from django_opentrain.models.work import WorkEntry

__all__ = [
    "AccessGrant",
    "ConsentRequest",
    "Contract",
    "Counter",
    "DailyUsage",
    "Heartbeat",
    "Install",
    "Participant",
    "ProjectLink",
    "TrainerAccount",
    "UsageObjection",
    "WebhookEndpoint",
    "WebhookEvent",
    "WorkEntry",
]

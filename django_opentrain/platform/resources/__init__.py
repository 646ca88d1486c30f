"""What OpenTrain answers and sends, as frozen typed values.

``from_json`` serves the API's answers and the bodies of webhooks alike. It takes anything that JSON can hold:
unknown fields are ignored, a missing or ill-typed optional one is "", None or empty, and only a resource that
lacks what it can't do without raises ``MalformedResource``. ``raw`` is the object as it came.

Source: OpenTrain's developer documentation, "API reference"; the field names are its own, in snake case.
"""

from __future__ import annotations

from django_opentrain.platform.resources.budgets import (
    BudgetInfo,
    Consumed,
    MilestoneInfo,
)
from django_opentrain.platform.resources.endpoints import (
    CreatedWebhookEndpoint,
    Redelivery,
    WebhookEndpointInfo,
)
from django_opentrain.platform.resources.hiring import (
    ContractInfo,
    InstallInfo,
    ParticipantInfo,
    PartnerApp,
    ProjectLinkInfo,
    TokenInfo,
)
from django_opentrain.platform.resources.usage import MAX_TOTALS, UsageEntry, UsageResult
from django_opentrain.platform.values import MalformedResource

__all__ = [
    "MAX_TOTALS",
    "BudgetInfo",
    "Consumed",
    "ContractInfo",
    "CreatedWebhookEndpoint",
    "InstallInfo",
    "MalformedResource",
    "MilestoneInfo",
    "ParticipantInfo",
    "PartnerApp",
    "ProjectLinkInfo",
    "Redelivery",
    "TokenInfo",
    "UsageEntry",
    "UsageResult",
    "WebhookEndpointInfo",
]

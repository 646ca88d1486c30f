"""A customer's connection: consent, tokens, reconnect, refused installs, offboarding."""

from django_opentrain.services.connect.consent import (
    Return,
    begin,
    complete_return,
    customers_callback,
    local_url,
    start_without_return,
    tenant_of_return,
    unsaved_install,
)
from django_opentrain.services.connect.offboarding import disconnect
from django_opentrain.services.connect.tokens import MAX_TOKEN, capture_token, missing_scopes, verify

__all__ = [
    "MAX_TOKEN",
    "Return",
    "begin",
    "capture_token",
    "complete_return",
    "customers_callback",
    "disconnect",
    "local_url",
    "missing_scopes",
    "start_without_return",
    "tenant_of_return",
    "unsaved_install",
    "verify",
]

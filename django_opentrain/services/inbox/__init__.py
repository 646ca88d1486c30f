"""The inbox: deliveries are verified and stored in the request, and take effect later, from rows."""

from django_opentrain.services.inbox.processing import drain, process, replay
from django_opentrain.services.inbox.receiving import BadSignature, Receipt, UnknownEndpoint, receive

__all__ = ["BadSignature", "Receipt", "UnknownEndpoint", "drain", "process", "receive", "replay"]

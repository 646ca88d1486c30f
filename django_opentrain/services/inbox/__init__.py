"""The inbox: deliveries are verified and stored in the request, and processed later."""

from django_opentrain.services.inbox.processing import drain, each_due, process, replay
from django_opentrain.services.inbox.receiving import Receipt, check_headers, receive, receive_body

__all__ = ["Receipt", "check_headers", "drain", "each_due", "process", "receive", "receive_body", "replay"]

"""Access: desired grants, and convergence, the step that makes them true."""

from django_opentrain.services.access.convergence import converge, converge_due, each_due

__all__ = ["converge", "converge_due", "each_due"]

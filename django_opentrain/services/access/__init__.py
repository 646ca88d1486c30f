"""Who has access: what should be true (grants), and the step that makes it so (convergence)."""

from django_opentrain.services.access.convergence import converge, converge_due, each_due

__all__ = ["converge", "converge_due", "each_due"]

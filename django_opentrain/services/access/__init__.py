"""Access: desired grants, and convergence, the step that makes them true; and whose account is a trainer's."""

from django_opentrain.services.access.accounts import is_trainer
from django_opentrain.services.access.convergence import converge, converge_contract, converge_due, each_due
from django_opentrain.services.access.payers import contract_for

__all__ = ["contract_for", "converge", "converge_contract", "converge_due", "each_due", "is_trainer"]

"""The host's side: what OpenTrain's decisions mean on this site."""

from django_opentrain.adapters.base import DayUsage, OpenTrainAdapter, Project, get_adapter
from django_opentrain.errors import AdapterError

__all__ = ["AdapterError", "DayUsage", "OpenTrainAdapter", "Project", "get_adapter"]

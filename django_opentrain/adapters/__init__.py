"""The host's side: what OpenTrain's decisions mean on this site."""

from django_opentrain.adapters.base import AdapterError, DayUsage, OpenTrainAdapter, Project, get_adapter

__all__ = ["AdapterError", "DayUsage", "OpenTrainAdapter", "Project", "get_adapter"]

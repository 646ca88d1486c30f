"""Scenes that several fixtures begin with."""

from __future__ import annotations

from django_opentrain.models import Install
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain


def a_customer(opentrain: OpenTrain) -> Install:
    """Connected."""
    return opentrain.connect("acme")


def a_linked_project(opentrain: OpenTrain) -> None:
    """Of a connected customer, with nothing left to do."""
    opentrain.connect("acme")
    opentrain.link("p1")
    opentrain.run()


def a_trainer(linked: OpenTrain) -> Hire:
    """Who has access."""
    hire = linked.hire("Maria S.")
    linked.run()
    return hire

"""An AI trainer's public profile, where ``profileUrl`` leads to: no Work Email, which only customers see."""

from __future__ import annotations

import re

from django_opentrain.sandbox.http import Response
from django_opentrain.sandbox.models import Freelancer
from django_opentrain.sandbox.pages.html import tag
from django_opentrain.sandbox.pages.layout import error_page, page
from django_opentrain.sandbox.store import Store

PATH = re.compile(r"/trainers/([^/]+)")


def profile_page(store: Store, user_id: str) -> Response:
    """The profile; 404 for an unknown trainer."""
    trainer = store.get(Freelancer, user_id)
    if trainer is None:
        return error_page(404, "Not found", "There is no such trainer.")
    return page(
        trainer.display_name,
        tag("h1", trainer.display_name),
        tag("p", f"AI trainer, {trainer.country}"),
        tag("p", tag("code", trainer.opentrain_user_id)),
    )

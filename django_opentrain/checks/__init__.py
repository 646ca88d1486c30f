"""System checks: what is wrong with a site's settings. Only ``check_databases`` queries a database.

Each has an id, a hint, and an entry in ``docs/reference/checks.md``. ``manage.py check --tag opentrain`` runs only
these.
"""

from __future__ import annotations

from typing import Final

from django.core.checks import Tags
from django.core.checks import register as register_check

from django_opentrain.checks.adapter import check_adapter
from django_opentrain.checks.api import check_api
from django_opentrain.checks.background import check_background_work
from django_opentrain.checks.databases import check_databases, check_routers
from django_opentrain.checks.deployment import check_deployment
from django_opentrain.checks.requests import check_requests
from django_opentrain.checks.schemas import check_schemas
from django_opentrain.checks.values import check_values

TAG: Final = "opentrain"


def register() -> None:
    """Register the checks with Django. Called when it starts; calling it again changes nothing."""
    for check in (
        check_values,
        check_adapter,
        check_requests,
        check_api,
        check_background_work,
        check_routers,
        check_schemas,
    ):
        register_check(check, TAG)
    register_check(check_databases, TAG, Tags.database)
    register_check(check_deployment, TAG, deploy=True)

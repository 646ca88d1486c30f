"""When an install is due for what is done at OpenTrain. All of it is columns: no message carries state."""

from __future__ import annotations

from django.utils import timezone

from django_opentrain.models import Install
from django_opentrain.services import dispatch


def request_reconcile(install: Install) -> None:
    """Reconcile this install as soon as a worker is free."""
    Install.objects.filter(pk=install.pk).update(next_reconcile_at=timezone.now(), reconcile_attempts=0)
    dispatch.nudge_on_commit()

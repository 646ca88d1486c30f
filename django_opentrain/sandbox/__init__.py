"""A local OpenTrain: its API, consent page, budgets and webhooks, for demos and tests.

In process, without a socket::

    sandbox = Sandbox(sender=post_to_my_receiver)
    sandbox.mount(session)
    approval = sandbox.approve()
    contract, trainer = sandbox.hire("Maria S.")
    sandbox.deliver_due()

Or as a server: ``python -m django_opentrain.sandbox``. Needs no Django.
"""

from __future__ import annotations

from django_opentrain.sandbox.clock import Clock
from django_opentrain.sandbox.consent import Approval
from django_opentrain.sandbox.errors import ApiError
from django_opentrain.sandbox.marketplace import Hired
from django_opentrain.sandbox.readings import Readings
from django_opentrain.sandbox.sandbox import Sandbox
from django_opentrain.sandbox.transport import SandboxAdapter

__all__ = ["ApiError", "Approval", "Clock", "Hired", "Readings", "Sandbox", "SandboxAdapter"]

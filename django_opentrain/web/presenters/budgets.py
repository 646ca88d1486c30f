"""A contract's budget, in words and as a bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Final

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from django_opentrain.models import Contract
from django_opentrain.platform import catalog

#: How each state looks.
TONES: Final[Mapping[Contract.BudgetState, str]] = {
    Contract.BudgetState.OK: "ok",
    Contract.BudgetState.LOW: "warn",
    Contract.BudgetState.DEPLETED: "bad",
}


@dataclass(frozen=True, kw_only=True)
class BudgetStatus:
    """What to show of a budget.

    :param fraction: of the bar, as HTML writes numbers, from 0 to 1; "" where a bar would say nothing.
    """

    tone: str
    label: str
    text: str
    fraction: str = ""


def describe(contract: Contract) -> BudgetStatus:
    """The budget as OpenTrain last reported it."""
    if contract.payment_type == catalog.FIXED_PRICE:
        return BudgetStatus(
            tone="off", label=_("Fixed price"), text=_("The price doesn't depend on the work done.")
        )
    if contract.budget_updated_at is None:
        return BudgetStatus(
            tone="off", label=_("Not known yet"), text=_("OpenTrain hasn't reported this budget yet.")
        )
    if not contract.funded_volume:
        return BudgetStatus(tone="off", label=_("Not funded"), text=_("No milestone is funded yet."))
    fraction = contract.consumed_fraction or Decimal(0)
    return BudgetStatus(
        tone=TONES[Contract.BudgetState(contract.budget_state)],
        label=contract.get_budget_state_display().capitalize(),
        text=_volume_text(contract)
        % {
            "used": _amount(contract.consumed_volume),
            "funded": _amount(contract.funded_volume),
            # Not in the translated text: xgettext would keep the escape as it is written.
            "percent": f"{number_format(int(fraction * 100))}\u00a0%",
        },
        fraction=f"{min(max(fraction, Decimal(0)), Decimal(1)):.4f}",
    )


def left(contract: Contract) -> str:
    """What is left of a funded budget; "" where that isn't known, or doesn't depend on the work done."""
    if contract.payment_type == catalog.FIXED_PRICE or not contract.funded_volume:
        return ""
    volume = contract.remaining_volume
    if volume is None:
        volume = contract.funded_volume - (contract.consumed_volume or Decimal(0))
    # Rounded up as what is used is rounded down: together they are what is funded.
    amount = {"left": _amount(max(volume, Decimal(0)), ROUND_UP)}
    if contract.payment_type == catalog.PAY_PER_HOUR:
        return _("%(left)s funded hours are left.") % amount
    if contract.payment_type == catalog.PAY_PER_LABEL:
        return _("%(left)s funded labels are left.") % amount
    return _("%(left)s are left.") % amount


def volume(contract: Contract, amount: Decimal | None) -> str:
    """An amount of a budget with its unit: "60 h", "20,000 labels"; "" where it isn't known."""
    if amount is None:
        return ""
    if contract.payment_type == catalog.PAY_PER_HOUR:
        return _("%(amount)s h") % {"amount": _amount(amount)}
    if contract.payment_type == catalog.PAY_PER_LABEL:
        return _("%(amount)s labels") % {"amount": _amount(amount)}
    return _amount(amount)


def payment(contract: Contract) -> str:
    """How the work is paid, in words; a type that is new to us as OpenTrain names it."""
    words = {
        catalog.PAY_PER_HOUR: _("by the hour"),
        catalog.PAY_PER_LABEL: _("by the label"),
        catalog.FIXED_PRICE: _("Fixed price"),
    }
    return words.get(contract.payment_type) or str(contract.payment_type)


def _volume_text(contract: Contract) -> str:
    if contract.payment_type == catalog.PAY_PER_HOUR:
        return _("%(used)s of %(funded)s funded hours used (%(percent)s)")
    if contract.payment_type == catalog.PAY_PER_LABEL:
        return _("%(used)s of %(funded)s funded labels used (%(percent)s)")
    return _("%(used)s of %(funded)s used (%(percent)s)")


def _amount(volume: Decimal | None, rounding: str = ROUND_DOWN) -> str:
    """At most one decimal, none for a whole number."""
    rounded = (volume or Decimal(0)).quantize(Decimal("0.1"), rounding)
    whole = rounded.to_integral_value()
    return number_format(int(whole) if whole == rounded else rounded, force_grouping=True)

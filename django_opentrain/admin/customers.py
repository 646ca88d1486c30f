"""Customers by the names that the host has for them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.utils.html import format_html
from django.utils.translation import gettext_lazy

from django_opentrain.adapters import get_adapter
from django_opentrain.admin.columns import MAX_NAME_SHOWN, Column, column, follow, shortened

logger = logging.getLogger(__name__)


def customer_name(tenant: str) -> str:
    """The host's name of the customer; the tenant where its adapter can't say it: the page opens in any case."""
    try:
        return str(get_adapter().display_customer(tenant)) or tenant
    except Exception:
        logger.exception("The adapter's display_customer failed.")
        return tenant


def name_customers(rows: Iterable[Any], tenant: str) -> None:
    """Give the rows of a list their customers' names: the adapter is asked once for each customer.

    :param tenant: the path from a row to the tenant, a lookup such as ``install__tenant``.
    """
    names: dict[str, str] = {}
    for row in rows:
        key = follow(row, tenant)
        if key not in names:
            names[key] = customer_name(key)
        row.customer_name = names[key]


def customer_column(tenant: str) -> Column:
    """The customer, by the path to the tenant: in a list the name, on a row's own page the tenant, too."""

    def show(row: Any) -> str:
        key: str = follow(row, tenant)
        if name := getattr(row, "customer_name", ""):
            return shortened(name, MAX_NAME_SHOWN // 2, title=name if name == key else f"{name} ({key})")
        name = customer_name(key)
        return key if name == key else format_html("{} <small>{}</small>", name, key)

    return column(gettext_lazy("customer"), show, ordering=tenant)

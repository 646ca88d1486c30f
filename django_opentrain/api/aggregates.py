"""Counts of dependent rows for each row of a list, without a query for each."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce


def count(rows: QuerySet[Any], by: str) -> Coalesce:
    """An annotation: how many of ``rows`` there are, ``by`` the path from them to the annotated row.

    A subquery, not a join: it is computed for the rows of the page only.
    """
    counted = rows.filter(**{by: OuterRef("pk")}).order_by().values(by).annotate(number=Count("*"))
    return Coalesce(Subquery(counted.values("number"), output_field=IntegerField()), 0)

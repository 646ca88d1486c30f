"""Customers, their hosts, and their managers."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Customer(TenantMixin):  # type: ignore[misc] # untyped
    """A customer; their schema is made with them."""

    managers = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True)

    class Meta:
        app_label = "customers"

    def __str__(self) -> str:
        return str(self.schema_name)


class Domain(DomainMixin):  # type: ignore[misc] # untyped
    """A host of theirs."""

    class Meta:
        app_label = "customers"

"""A customer's projects."""

from __future__ import annotations

from django.db import models


class Project(models.Model):
    """Texts to label; ids are a schema's own, so two customers can have the same."""

    name = models.CharField(max_length=100)

    class Meta:
        app_label = "projects"

    def __str__(self) -> str:
        return self.name

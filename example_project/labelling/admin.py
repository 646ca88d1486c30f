"""The platform's own models in the admin."""

from __future__ import annotations

from django.contrib import admin

from example_project.labelling.models import Annotation, Project, Seat, Team, TextTask

admin.site.register([Team, Project, Seat])


@admin.register(TextTask)
class TextTaskAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # generic in the stubs only
    list_display = ("text", "project")
    list_filter = ("project",)


@admin.register(Annotation)
class AnnotationAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # generic in the stubs only
    list_display = ("task", "user", "label", "seconds", "created_at")
    list_select_related = ("task", "user")
    list_filter = ("label",)

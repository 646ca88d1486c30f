"""Teams, their projects, the texts in them, and who labelled what."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse


class Team(models.Model):
    """A customer of this platform."""

    name = models.CharField(max_length=200)
    managers = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="teams")

    def __str__(self) -> str:
        return self.name


class Project(models.Model):
    """Texts of one kind that a team wants labelled."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="projects")
    name = models.CharField(max_length=200)
    question = models.CharField(max_length=200)
    choices = models.JSONField(default=list, help_text="The labels to choose from")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("project", kwargs={"pk": self.pk})


class Seat(models.Model):
    """One user's place in a project, needed to label there."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="seats")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="seats")
    paused = models.BooleanField(default=False, help_text="The funded work is used up")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="one_seat")]

    def __str__(self) -> str:
        return f"{self.user} in {self.project}"


class TextTask(models.Model):
    """One text to label."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tasks")
    text = models.TextField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text[:60]


class Annotation(models.Model):
    """One user's label for one text, the time it took, and its contract."""

    task = models.ForeignKey(TextTask, on_delete=models.CASCADE, related_name="annotations")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="annotations")
    contract = models.ForeignKey(
        "django_opentrain.Contract", null=True, on_delete=models.SET_NULL, related_name="annotations"
    )
    label = models.CharField(max_length=100)
    seconds = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["task", "user"], name="one_label_each")]

    def __str__(self) -> str:
        return f"{self.task_id}: {self.label}"

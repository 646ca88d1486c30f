"""Users who log in by e-mail, their organizations, and projects with tasks."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class UserManager(BaseUserManager["User"]):
    """Makes users with an e-mail address."""

    def create_user(self, email: str, password: str | None = None, **values: Any) -> User:
        """A new user, saved. Without a password they can't log in."""
        user = self.model(email=self.normalize_email(email), **values)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **values: Any) -> User:
        """The same, with all permissions."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **values)


class User(AbstractBaseUser, PermissionsMixin):
    """A person; there are no user names."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        app_label = "inhouse"

    def __str__(self) -> str:
        return self.email


class Organization(models.Model):
    """A customer. A person can belong to several."""

    name = models.CharField(max_length=100)

    class Meta:
        app_label = "inhouse"

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """What a person is in an organization."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    is_manager = models.BooleanField(default=False)

    class Meta:
        app_label = "inhouse"
        constraints = [models.UniqueConstraint(fields=["organization", "user"], name="one_membership")]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization}"


class Project(models.Model):
    """Texts to label. Who may, says the permission ``annotate_project`` on this row."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="projects")
    name = models.CharField(max_length=100)

    class Meta:
        app_label = "inhouse"
        permissions = [("annotate_project", "Can annotate")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"/projects/{self.pk}/"


class Task(models.Model):
    """A text, and the label that it was given."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="tasks")
    text = models.TextField()
    label = models.CharField(max_length=50, blank=True)
    labelled_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True)

    class Meta:
        app_label = "inhouse"

    def __str__(self) -> str:
        return self.text

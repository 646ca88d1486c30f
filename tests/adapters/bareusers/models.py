"""The site's users."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class BareUser(AbstractBaseUser, PermissionsMixin):
    """No ``is_active`` column; and a year of birth, which no trainer's account comes with."""

    email = models.EmailField(unique=True)
    birth_year = models.IntegerField()

    USERNAME_FIELD = "email"

    objects = BaseUserManager()

    class Meta:
        app_label = "bareusers"

    def __str__(self) -> str:
        return self.email

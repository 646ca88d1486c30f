"""The site's users."""

from __future__ import annotations

import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class EmailUser(AbstractBaseUser, PermissionsMixin):
    """Found by e-mail address, keyed by a UUID."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    address = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=True)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "address"
    EMAIL_FIELD = "address"

    objects = BaseUserManager()

    class Meta:
        app_label = "emailusers"

    def __str__(self) -> str:
        return self.address

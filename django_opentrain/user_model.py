"""The site's user model."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User


def user_model() -> type[User]:
    """The site's user model, with the attributes that its type has with django-stubs' plugin only.

    A site's own may have fewer: it needs to have those of ``AbstractBaseUser`` alone.
    """
    model: Any = get_user_model()
    return cast("type[User]", model)

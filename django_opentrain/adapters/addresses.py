"""Which e-mail addresses are proven: django-allauth's ``EmailAddress``, where it is installed.

Nothing in ``django.contrib.auth`` says that an address was verified. Nothing of allauth is imported: Django finds its
model by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser

#: A model of an optional app by its name. Any: the type checker knows installed ones only.
model: Callable[[str], Any] = apps.get_model


def is_verified(user: AbstractBaseUser) -> bool:
    """Whether the person who has this account has verified its e-mail address."""
    if not _is_installed():
        return False
    return _email_of(user) in _verified(_addresses().filter(user=user.pk))


def is_taken(email: str, owner: AbstractBaseUser | None = None) -> bool:
    """Whether another account than ``owner`` has verified this address, which only one can.

    Asked here, as MariaDB has no constraint for it.
    """
    if not (_is_installed() and getattr(settings, "ACCOUNT_UNIQUE_EMAIL", True)):
        return False
    others = _addresses().filter(email__iexact=email).exclude(user=owner and owner.pk)
    return email.lower() in _verified(others)


def is_primary(user: AbstractBaseUser, email: str) -> bool:
    """Whether ``email`` is the account's verified, primary address; True where allauth isn't installed."""
    if not _is_installed():
        return True
    rows = _addresses().filter(user=user.pk, email=email.lower())
    return bool(rows.filter(verified=True, primary=True).exists())


def set_verified(user: AbstractBaseUser, email: str, *, replaces: str = "") -> None:
    """``email`` becomes the account's verified, primary address, in the place of the one that it ``replaces``.

    Only for accounts to which nothing but a link that is sent there opens the way. No other mail has to prove it.
    """
    if not _is_installed():
        return
    rows = _addresses().filter(user=user.pk)
    rows.filter(email__iexact=replaces).exclude(email__iexact=email).delete()
    rows.filter(primary=True).update(primary=False)
    proven = {"email": email.lower(), "verified": True, "primary": True}
    rows.update_or_create(user_id=user.pk, email__iexact=email, defaults=proven)


def remove(user: AbstractBaseUser, email: str) -> None:
    """The account doesn't have this address any longer, verified or not."""
    if _is_installed():
        _addresses().filter(user=user.pk, email__iexact=email).delete()


def _is_installed() -> bool:
    return apps.is_installed("allauth.account")


def _addresses() -> Any:
    return model("account.EmailAddress")._default_manager


def _verified(rows: Any) -> Iterator[str]:
    """In lower case, and compared in Python: for MySQL's default collations ``mária`` and ``maria`` are equal."""
    return (email.lower() for email in rows.filter(verified=True).values_list("email", flat=True))


def _email_of(user: AbstractBaseUser) -> str:
    return str(getattr(user, user.get_email_field_name())).lower()

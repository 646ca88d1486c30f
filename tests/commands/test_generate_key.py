"""``opentrain_generate_key``."""

from __future__ import annotations

from io import StringIO
from typing import Any

from cryptography.fernet import Fernet
from django.core.management import call_command


def generate() -> str:
    out = StringIO()
    call_command("opentrain_generate_key", stdout=out)
    return out.getvalue().strip()


def test_it_prints_a_key_that_works() -> None:
    cipher = Fernet(generate())
    assert cipher.decrypt(cipher.encrypt(b"whsec")) == b"whsec"


def test_each_is_another() -> None:
    assert generate() != generate()


def test_it_needs_no_settings_of_ours(settings: Any) -> None:
    del settings.OPENTRAIN
    assert generate()

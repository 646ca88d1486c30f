"""What is kept of an error: enough to help, and nothing personal or secret."""

from __future__ import annotations

import pytest

from django_opentrain.text import MAX_ERROR, describe, redact


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("no such mailbox: maria.s@opentrain.work", "no such mailbox: [redacted]"),
        ("Key (username)=(MARIA.S@OpenTrain.work) already exists.", "Key [redacted] already exists."),
        ("GET /users?email=maria.s%40opentrain.work: 404", "GET [redacted] 404"),
        ('401 for "ot_ptk_0123456789", again', '401 for "[redacted]", again'),
        ("signed with whsec_abc+/=.", "signed with [redacted]"),
        (
            "Project p1 is not one of this customer's projects.",
            "Project p1 is not one of this customer's projects.",
        ),
    ],
)
def test_people_and_secrets_are_left_out(text: str, kept: str) -> None:
    assert redact(text) == kept
    assert describe(ValueError(text)) == f"ValueError: {kept}"


def test_what_no_column_takes_is_left_out() -> None:
    kept = redact("a\x00b\ud800" + "x" * 5000)
    assert kept.startswith("a\ufffdb\ufffdx")
    assert len(kept) == MAX_ERROR

from __future__ import annotations

import pytest
from hypothesis import given

from django_opentrain.platform.credentials import BearerToken
from django_opentrain.platform.errors import InvalidRequest
from django_opentrain.platform.redaction import MAX_TEXT, redact, redact_all
from tests.platform.test_values import any_json, any_text

TOKEN = BearerToken("tok-en.of+an*odd(form")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Token ot_ptk_abc123 is revoked", "Token ot_ptk_[…] is revoked"),
        ("'whsec_abc', OT_PTK_abc", "'whsec_[…]', OT_PTK_[…]"),
        ("Bearer tok-en.of+an*odd(form!", "Bearer [token]!"),
        ("no user maria.s@opentrain.work here", "no user [e-mail] here"),
        ("?email=maria%40opentrain.work", "[e-mail]"),
        ("one\r\ntwo\x00three\u2028four\x1b[31m", "one  two three four [31m"),
        ("\ud800", ""),
        ("Zoë's job — 第7", "Zoë's job — 第7"),
        ("x" * 301, "x" * 299 + "…"),
        ("x" * 300, "x" * 300),
    ],
)
def test_texts(text: str, redacted: str) -> None:
    assert redact(text, TOKEN) == redacted


def test_json() -> None:
    said = {"index": 3, "who": ["maria@opentrain.work", None], "tok-en.of+an*odd(form": True}
    assert redact_all(said, TOKEN) == {"index": 3, "who": ["[e-mail]", None], "[token]": True}


def test_json_is_bounded() -> None:
    deep: object = "bottom"
    for _ in range(900):
        deep = [deep]
    assert redact_all({"deep": deep}, TOKEN) == {"deep": [[[[[None]]]]]}
    assert len(redact_all(list(range(10_000)), TOKEN)) == 200
    assert len(redact_all({str(number): number for number in range(10_000)}, TOKEN)) == 200


@given(any_text)
def test_nothing_unprintable_or_long_gets_through(text: str) -> None:
    redacted = redact(text, TOKEN)
    assert len(redacted) <= MAX_TEXT
    assert "\n" not in redacted
    redacted.encode()


@given(any_json)
def test_any_json_is_redacted(value: object) -> None:
    redact_all(value, TOKEN)


def test_without_a_token_nothing_is_taken_for_one() -> None:
    assert redact("plain words", BearerToken("")) == "plain words"


@pytest.mark.parametrize(
    "token", ["ot_ptk_a\nb", "ot_ptk_a b", "ot_ptk_é", "ot_ptk_\ud800", "ot_ptk_a\x7f"], ids=ascii
)
def test_a_token_that_cannot_be_sent_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        BearerToken(token)
    assert "ot_ptk" not in str(caught.value)
    shown = [entry.locals for entry in caught.traceback[1:]]
    assert "ot_ptk" not in repr(shown)


def test_the_token_is_not_in_its_repr() -> None:
    assert "tok-en" not in repr(TOKEN)

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_opentrain.platform.credentials import BearerToken
from django_opentrain.platform.errors import InvalidRequest
from django_opentrain.platform.redaction import (
    MAX_MASKED,
    MAX_TEXT,
    describe,
    mask,
    redact,
    redact_all,
)
from tests.platform.test_values import any_json, any_text

TOKEN = BearerToken("tok-en.of+an*odd(form")
SIGNATURE = "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Token ot_ptk_abc123 is revoked", "Token ot_ptk_[redacted] is revoked"),
        ("'whsec_abc', OT_PTK_abc", "'whsec_[redacted]', OT_PTK_[redacted]"),
        ('401 for "ot_ptk_0123456789", again', '401 for "ot_ptk_[redacted]", again'),
        ("signed with whsec_abc+/=.", "signed with whsec_[redacted]"),
        ("Authorization: Bearer a.b", "Authorization: Bearer [redacted]"),
        ("{'Authorization': 'Basic bWE6cHc='}", "{'Authorization': 'Basic [redacted]'}"),
        (r"{\"Authorization\": \"Bearer a\"}", r'{\"Authorization\": \"Bearer [redacted]"}'),
        ("proxy-authorization=abc", "proxy-authorization=[redacted]"),
        ("sent Bearer abcdefghijklmnop", "sent Bearer [redacted]"),
        ("Missing bearer token", "Missing bearer token"),
        (
            f"X-OpenTrain-Signature: t=1700000000,v1={SIGNATURE}",
            "X-OpenTrain-Signature: t=1700000000,v1=[redacted]",
        ),
        (f"?s=t%3D1%2Cv1%3D{SIGNATURE}", "?s=t%3D1%2Cv1%3D[redacted]"),
        ("apiVersion v1=ok", "apiVersion v1=ok"),
        ("no user maria.s@opentrain.work here", "no user [e-mail] here"),
        ("no such mailbox: <maria.s@opentrain.work>", "no such mailbox: <[e-mail]>"),
        (
            "Key (username)=(MARIA.S@OpenTrain.work) already exists.",
            "Key (username)=([e-mail]) already exists.",
        ),
        (
            'value violates unique constraint "user_name_key"\nDETAIL:  Key (name)=(Maria S.) already exists.\n',
            'value violates unique constraint "user_name_key"…',
        ),
        (
            """(1062, "Duplicate entry 'Maria's' for key 'user_name'")""",
            """(1062, "Duplicate entry … for key 'user_name'")""",
        ),
        (
            """(1366, "Incorrect string value: 'Maria' for column `a`.`b`.`name` at row 1")""",
            """(1366, "Incorrect string value: … for column `a`.`b`.`name` at row 1")""",
        ),
        ("?email=maria%40opentrain.work", "[e-mail]"),
        ('"maria\\u0040opentrain.work"', '"[e-mail]"'),
        ("o'brien@opentrain.work", "[e-mail]"),
        ("a@b@c, d@e;f@g", "[e-mail], [e-mail];[e-mail]"),
        ("@maria, 5@ or @@", "@maria, 5@ or @@"),
        ("http://user:password@proxy:3128", "[e-mail]"),
        ("one\r\ntwo\x00three\u2028four\x1b[31m", "one  two three four [31m"),
        ("\ud800", ""),
        ("Zoë's job — 第7", "Zoë's job — 第7"),
        ("x" * 1001, "x" * 999 + "…"),
        ("x" * 1000, "x" * 1000),
        ("x" * 100_000, "x" * 999 + "…"),
    ],
)
def test_redacted_texts(text: str, redacted: str) -> None:
    assert redact(text) == redacted
    assert describe(ValueError(text)) == redact(f"ValueError: {text}")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("maria.s@opentrain.work", "m•••@opentrain.work"),
        ('{"to": "maria@a.work,otto@b.work"}', '{"to": "m•••@a.work,o•••@b.work"}'),
        ("maria@a.work|otto@b.work", "m•••@b.work"),
        ('"maria\\u0040opentrain.work"', '"m•••\\u0040opentrain.work"'),
        ("ot_ptk_abc\nwhsec_abc", "ot_ptk_[redacted]\nwhsec_[redacted]"),
        (f"v1={SIGNATURE}", "v1=[redacted]"),
        ("x" * MAX_MASKED, "x" * MAX_MASKED),
        ("a@b " * 12_500, "a•••@b " * 7142 + "a•••@b…"),
    ],
)
def test_masked_texts(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_a_token_without_the_usual_prefix_is_hidden_by_its_owner() -> None:
    assert TOKEN.hide_in("Bearer tok-en.of+an*odd(form!") == "Bearer [redacted]!"
    assert BearerToken("").hide_in("plain words") == "plain words"


@pytest.mark.parametrize(
    "planted", ["maria.planted@opentrain.work", "ot_ptk_planted", "bearer planted-planted-planted"]
)
@pytest.mark.parametrize(
    ("hide", "lengths"),
    [(redact, range(MAX_TEXT, 3 * MAX_TEXT)), (mask, range(MAX_MASKED - 60, MAX_MASKED + 5))],
)
def test_nothing_is_cut_in_two_before_it_is_recognised(
    hide: Callable[[str], str], lengths: range, planted: str
) -> None:
    """What was hidden before it leaves room for the piece at which the text is cut."""
    others = "a.very.long.address.of.another.trainer@opentrain.work " * 1000
    for length in lengths:
        assert "planted" not in hide(others[-length:] + planted + " and more" * 1000)


EACH_AT_ITS_WORST = [
    "x",
    "@",
    "x@",
    "x@y ",
    "x,",
    " ",
    "'",
    '"',
    "\\",
    "\\u0040",
    "%40",
    "ot_ptk_",
    "whsec_",
    "authorization",
    "authorization:",
    "authorization: bearer ",
    "bearer ",
    "v1=",
    "v1=0123456789abcdef0123",
    "v1%3D",
    "\ud800",
]


def _seconds(act: Callable[[], object]) -> float:
    def once() -> float:
        began = time.thread_time()
        act()
        return time.thread_time() - began

    return min(once() for _ in range(3))


@pytest.mark.parametrize("hide", [redact, mask])
@pytest.mark.parametrize("piece", EACH_AT_ITS_WORST, ids=ascii)
@pytest.mark.parametrize("lead", ["", "authorization:", "bearer", "x"])
def test_four_times_the_text_takes_about_four_times_as_long(
    hide: Callable[[str], str], piece: str, lead: str
) -> None:
    def text(length: int) -> str:
        return lead + piece * (length // len(piece))

    short, long = text(MAX_MASKED // 4), text(MAX_MASKED)
    assert _seconds(lambda: hide(long)) < 10 * max(_seconds(lambda: hide(short)), 0.004)


@pytest.mark.parametrize("hide", [redact, mask])
def test_no_more_is_looked_at_than_is_needed(hide: Callable[[str], str]) -> None:
    short, endless = "maria@opentrain.work " * 5_000, "maria@opentrain.work " * 500_000
    assert hide(endless) == hide(short)
    assert _seconds(lambda: hide(endless)) < 10 * max(_seconds(lambda: hide(short)), 0.004)


def test_json() -> None:
    said = {"index": 3, "who": ["maria@opentrain.work", None], "ot_ptk_a": True}
    assert redact_all(said, redact) == {"index": 3, "who": ["[e-mail]", None], "ot_ptk_[redacted]": True}


def test_json_is_bounded() -> None:
    deep: object = "bottom"
    for _ in range(900):
        deep = [deep]
    assert redact_all({"deep": deep}, redact) == {"deep": [[[[[None]]]]]}
    assert len(redact_all(list(range(10_000)), redact)) == 200
    assert len(redact_all({str(number): number for number in range(10_000)}, redact)) == 200


@given(any_text, st.integers(1, 50))
def test_nothing_unprintable_or_long_gets_through(text: str, limit: int) -> None:
    redacted = redact(text, limit)
    assert len(redacted) <= limit
    assert not set("\n\x00\x7f") & set(redacted)
    redacted.encode()


@given(before=any_text, address=st.emails(), after=any_text)
def test_no_address_gets_through(before: str, address: str, after: str) -> None:
    text = f"{before} {address} {after}"
    assert address not in redact(text)
    assert address not in mask(text)


@given(any_json)
def test_any_json_is_redacted(value: object) -> None:
    redact_all(value, redact)


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

"""The signatures below were computed by hand, not by the code under test:

printf '1764000000.%s' '{"id":"1","type":"contract.started"}' | openssl dgst -sha256 -hmac whsec_test_0123456789abcdef
"""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_opentrain.platform.signing import sign, verify

SECRET = "whsec_test_0123456789abcdef"
BODY = b'{"id":"1","type":"contract.started"}'
NOW = 1764000000
DIGEST = "1e7aa437b8e8ccf9fbcf226af696be543929cb3b6f9b43d734d1535ef37927b6"
HEADER = f"t={NOW},v1={DIGEST}"

VECTORS = [
    pytest.param(SECRET, BODY, DIGEST, id="an event"),
    pytest.param(
        SECRET, b"", "21d2a99f9aa2dd90ff44f578304cca2a66564a66702b7d2c5fe97473f6d07f7e", id="no body"
    ),
    pytest.param(
        "whsec_ü",
        '{"n":"Zoë"}'.encode(),
        "1574ab1eb48f9fa13a175b6355157738aee9a5a59e85d722a56cb0843041233d",
        id="beyond ASCII",
    ),
]


@pytest.mark.parametrize(("secret", "body", "digest"), VECTORS)
def test_signs_and_accepts_what_openssl_computes(secret: str, body: bytes, digest: str) -> None:
    assert sign(secret, body, NOW) == f"t={NOW},v1={digest}"
    assert verify(secret, f"t={NOW},v1={digest}", body, now=NOW)


def test_the_digits_of_the_timestamp_are_signed_as_they_were_sent() -> None:
    # printf '01764000000.\0\377\376' | openssl dgst …: a leading zero, and a body that is no text
    digest = "f71a3c0ca64b3053dd5767a5adaac699e249db86cb1ab9849beb92fea0b83ba8"
    assert verify(SECRET, f"t=01764000000,v1={digest}", b"\x00\xff\xfe", now=NOW)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(f"v1={DIGEST},t={NOW}", id="other order"),
        pytest.param(f"t={NOW},v0=abc,v1={DIGEST},x=", id="unknown parts"),
        pytest.param(f"t={NOW},v1={'0' * 64},v1={DIGEST}", id="several, the last matches"),
        pytest.param(f"t={NOW},v1={DIGEST},v1={'f' * 64}", id="several, the first matches"),
        pytest.param(f"t={NOW},v1={DIGEST.upper()}", id="upper case hex"),
    ],
)
def test_accepts(header: str) -> None:
    assert verify(SECRET, header, BODY, now=NOW)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="empty"),
        pytest.param(",", id="only a comma"),
        pytest.param(f"t={NOW}", id="no signature"),
        pytest.param(f"v1={DIGEST}", id="no timestamp"),
        pytest.param(f"t=,v1={DIGEST}", id="empty timestamp"),
        pytest.param(f"t={NOW},v1=", id="empty signature"),
        pytest.param(f"t={NOW},t={NOW},v1={DIGEST}", id="two timestamps"),
        pytest.param(f"t={NOW},v1={DIGEST[:-1]}", id="truncated"),
        pytest.param(f"t={NOW},v1={DIGEST}0", id="too long"),
        pytest.param(f"t={NOW},v1={DIGEST[:-1]}g", id="not hex"),
        pytest.param(f"t={NOW},v1={DIGEST[:-1]}é", id="beyond ASCII"),
        pytest.param(f"t={NOW},v1={DIGEST[:-1]}\ud800", id="lone surrogate"),
        pytest.param(f"t={NOW},v1={DIGEST},v1=nonsense", id="one of several malformed"),
        pytest.param(f"t={NOW},v1={DIGEST}\n", id="newline after the signature"),
        pytest.param(f"t={NOW}\n,v1={DIGEST}", id="newline after the timestamp"),
        pytest.param(f"t={NOW},v1={DIGEST},junk", id="part without a value"),
        pytest.param(f"t={NOW},v1={DIGEST},=x", id="part without a name"),
        pytest.param(f"t={NOW},v1={DIGEST},", id="trailing comma"),
        pytest.param(f"t=1.764e9,v1={DIGEST}", id="float"),
        pytest.param(f"t=+{NOW},v1={DIGEST}", id="plus sign"),
        pytest.param(f"t=-{NOW},v1={DIGEST}", id="minus sign"),
        pytest.param(f"t= {NOW},v1={DIGEST}", id="blank"),
        pytest.param(f"t=1_764_000_000,v1={DIGEST}", id="underscores"),
        pytest.param(f"t=176400000²,v1={DIGEST}", id="superscript, which isdigit() lets through"),
        pytest.param(f"t=١٧٦٤٠٠٠٠٠٠,v1={DIGEST}", id="Arabic digits, which int() takes"),
        pytest.param(f"t={'9' * 5000},v1={DIGEST}", id="5,000 digits, which int() refuses"),
        pytest.param(f"T={NOW},V1={DIGEST}", id="upper case names"),
        pytest.param(f"t={NOW},v2={DIGEST}", id="other scheme"),
        pytest.param(DIGEST, id="bare digest"),
    ],
)
def test_refuses_what_is_malformed(header: str) -> None:
    assert verify(SECRET, header, BODY, now=NOW) is False


def test_refuses_what_was_signed_with_something_else() -> None:
    # printf … | openssl dgst -sha256 -hmac whsec_other
    others = "24b5125683ba8dce8ac3f26c5aa72fc7302110e08e83046bde1a4ac9a99a57a3"
    assert not verify(SECRET, f"t={NOW},v1={others}", BODY, now=NOW)
    assert not verify(SECRET, HEADER, BODY + b" ", now=NOW)
    assert not verify(SECRET, f"t={NOW + 1},v1={DIGEST}", BODY, now=NOW)
    assert not verify(SECRET.removeprefix("whsec_"), HEADER, BODY, now=NOW)


@pytest.mark.parametrize(
    ("now", "accepted"),
    [
        (NOW + 300, True),
        (NOW + 300.5, False),
        (NOW + 301, False),
        (NOW - 300, True),
        (NOW - 301, False),
        (float("nan"), False),
        (float("inf"), False),
    ],
)
def test_the_timestamp_may_be_five_minutes_off_in_either_direction(now: float, *, accepted: bool) -> None:
    assert verify(SECRET, HEADER, BODY, now=now) is accepted


def test_the_tolerance_can_be_chosen() -> None:
    assert verify(SECRET, HEADER, BODY, tolerance=10_000, now=NOW + 9_999)
    assert not verify(SECRET, HEADER, BODY, tolerance=0, now=NOW + 1)


def test_the_clock_is_the_systems_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW + 299.0)
    assert verify(SECRET, HEADER, BODY)
    monkeypatch.setattr("time.time", lambda: NOW + 301.0)
    assert not verify(SECRET, HEADER, BODY)


def test_every_signature_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def compare(expected: str, given: str) -> bool:
        compared.append(given)
        return expected == given

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert verify(SECRET, f"{HEADER},v1={'0' * 64},v1={'f' * 64}", BODY, now=NOW)
    assert compared == [DIGEST, "0" * 64, "f" * 64]


def test_an_empty_secret_verifies_nothing() -> None:
    # Anyone could have made it: printf … | openssl dgst -sha256 -hmac ''
    assert not verify("", sign("", BODY, NOW), BODY, now=NOW)


def test_a_secret_that_is_no_text_still_raises_nothing() -> None:
    assert verify("whsec_\udc80", sign("whsec_\udc80", BODY, NOW), BODY, now=NOW)


any_text = st.text(st.characters(exclude_categories=()))


@given(header=any_text, body=st.binary())
def test_no_header_raises_or_passes(header: str, body: bytes) -> None:
    assert verify(SECRET, header, body, now=NOW) is False


@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from(["t", "v1", "v0", "", " t"]), any_text | st.just(str(NOW)) | st.just("a" * 64)
        ),
        max_size=5,
    )
)
def test_no_near_miss_raises_or_passes(parts: list[tuple[str, str]]) -> None:
    header = ",".join(f"{name}={value}" for name, value in parts)
    assert verify(SECRET, header, BODY, now=NOW) is False


secrets = st.text(min_size=1)
timestamps = st.integers(0, 10**12 - 1)
hex_digests = st.text("0123456789abcdefABCDEF", min_size=64, max_size=64)
#: Parts of another version: any name but ours, any value without the comma that would end it.
unknown_parts = st.builds(
    "{}={}".format,
    st.from_regex(r"[a-z][a-z0-9]{1,5}", fullmatch=True).filter(lambda n: n != "v1"),
    st.text(),
).filter(lambda part: "," not in part)


def by_hand(secret: str, body: bytes, timestamp: int) -> str:
    """The documented formula, in the words of the standard library's oldest interface to it."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


@given(secret=any_text.filter(bool), body=st.binary(), timestamp=timestamps)
def test_what_is_signed_verifies(secret: str, body: bytes, timestamp: int) -> None:
    header = sign(secret, body, timestamp)
    assert verify(secret, header, body, now=timestamp)
    assert not verify(secret, header, body + b"x", now=timestamp)


@given(data=st.data(), secret=secrets, body=st.binary(), timestamp=timestamps)
def test_a_right_signature_passes_in_any_company(
    data: st.DataObject, secret: str, body: bytes, timestamp: int
) -> None:
    others = data.draw(st.lists(hex_digests.map("v1={}".format) | unknown_parts, max_size=4))
    parts = [f"t={timestamp}", f"v1={by_hand(secret, body, timestamp)}", *others]
    header = ",".join(data.draw(st.permutations(parts)))
    assert verify(secret, header, body, now=timestamp)


@given(data=st.data(), secret=secrets, body=st.binary(min_size=1), timestamp=timestamps)
def test_one_character_that_is_changed_is_enough_to_be_refused(
    data: st.DataObject, secret: str, body: bytes, timestamp: int
) -> None:
    header = f"t={timestamp},v1={by_hand(secret, body, timestamp)}"
    at = data.draw(st.integers(0, len(header) - 1))
    other = data.draw(st.characters().filter(lambda c: c.lower() != header[at]))
    assert not verify(secret, header[:at] + other + header[at + 1 :], body, now=timestamp)
    assert not verify(secret, header[:at], body, now=timestamp)
    flipped = bytearray(body)
    flipped[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    assert not verify(secret, header, bytes(flipped), now=timestamp)


@given(
    timestamp=timestamps,
    offset=st.integers(-1000, 1000) | st.floats(-1000, 1000),
    tolerance=st.integers(0, 600),
)
def test_the_tolerance_is_a_window_around_now(timestamp: int, offset: float, tolerance: int) -> None:
    header = f"t={timestamp},v1={by_hand(SECRET, BODY, timestamp)}"
    now = timestamp + offset
    within = abs(now - timestamp) <= tolerance
    assert verify(SECRET, header, BODY, tolerance=tolerance, now=now) is within

from __future__ import annotations

import json
import time

import pytest

from django_opentrain.admin.bodies import readable_body
from django_opentrain.platform.redaction import MAX_MASKED


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"to":"maria@opentrain.work"}', '{\n  "to": "m\u2022\u2022\u2022@opentrain.work"\n}'),
        (b'{"a":"\\ud800"}', '{\n  "a": "\\ud800"\n}'),
        (b"maria@opentrain.work \xff", "m\u2022\u2022\u2022@opentrain.work \\xff"),
        (b'{"to": "maria\\u0040opentrain.work"', '{"to": "m\u2022\u2022\u2022\\u0040opentrain.work"'),
        (b"", ""),
    ],
)
def test_bodies(body: bytes, shown: str) -> None:
    assert readable_body(body) == shown


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"text": "x" * 262_000}),
        "x" * 262_000,
        '{"a":' + "[" * 900 + "0," * 100_000 + "0" + "]" * 900 + "}",
        '{"a":' + "[" * 5_000 + "]" * 5_000 + "}",
        json.dumps({"list": [0] * 80_000}),
    ],
    ids=["a long text", "no JSON", "deep and long", "too deep", "a long list"],
)
def test_the_longest_bodies_are_shown_at_once(body: str) -> None:
    began = time.thread_time()
    shown = readable_body(body.encode())
    assert time.thread_time() - began < 2
    assert len(shown) <= MAX_MASKED + 1


@pytest.mark.parametrize(
    "piece",
    ["x", "@", "maria@opentrain.work ", "bearer ", "authorization:", "ot_ptk_", "%40", "v1=0", "\\u0040"],
)
@pytest.mark.parametrize("shape", ['{{"a":"{}"}}', "{}"], ids=["JSON", "no JSON"])
def test_four_times_the_text_takes_about_four_times_as_long(piece: str, shape: str) -> None:
    def seconds(length: int) -> float:
        body = shape.format(piece * (length // len(piece))).encode()
        began = time.thread_time()
        readable_body(body)
        return time.thread_time() - began

    assert min(seconds(250_000) for _ in range(3)) < 10 * max(seconds(62_500), 0.004)

"""``opentrain_check_spec``."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

import django_opentrain.sandbox
from django_opentrain.platform import catalog
from django_opentrain.testing.kit import OpenTrain

SERVED = Path(django_opentrain.sandbox.__file__).parent / "openapi.json"


def check(*arguments: str) -> tuple[int, str]:
    """Exit status and output."""
    out = StringIO()
    try:
        call_command("opentrain_check_spec", *arguments, stdout=out, no_color=True)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def changed(tmp_path: Path, **schema: Any) -> str:
    document = json.loads(SERVED.read_text(encoding="utf-8"))
    document["components"]["schemas"].update(schema)
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return str(file)


def test_what_opentrain_serves_is_compared(opentrain: OpenTrain) -> None:
    assert check() == (0, "Nothing differs.\n")
    assert opentrain.sandbox.calls[-1].path.endswith("/openapi.json")


def test_new_things_end_with_1(tmp_path: Path) -> None:
    file = changed(tmp_path, PaymentType={"enum": [*catalog.PAYMENT_TYPES, "PAY_PER_WORD"]})
    status, out = check("--file", file)
    assert status == 1
    assert (
        "new      GET /contracts/{contract_id}/budget: response.paymentType: has the new value PAY_PER_WORD"
        in out
    )
    assert out.splitlines()[-1] == "breaking 0, new 2, harmless 0."


def test_breaking_things_end_with_2_and_come_first(tmp_path: Path) -> None:
    file = changed(
        tmp_path, PaymentType={"type": "integer"}, ContractStatus={"enum": ["active", "ended", "x"]}
    )
    status, out = check("--file", file)
    assert status == 2
    assert out.startswith("breaking ")


def test_harmless_things_end_with_0(tmp_path: Path) -> None:
    file = changed(tmp_path, PaymentType={"type": "string"})
    status, out = check("--file", file)
    assert status == 0
    assert out.startswith("harmless ")


def test_machines_get_json(tmp_path: Path) -> None:
    status, out = check("--json", "--file", changed(tmp_path, PaymentType={"type": "integer"}))
    assert status == 2
    assert json.loads(out)[0] == {
        "kind": "breaking",
        "where": "GET /contracts/{contract_id}/budget: response.paymentType",
        "text": "may be integer, where string is read",
    }


@pytest.mark.parametrize("text", ["", "not JSON", "[]", '{"openapi": "2.0"}', "[" * 100_000])
def test_what_is_no_spec_ends_with_3(tmp_path: Path, text: str) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CommandError) as caught:
        check("--file", str(file))
    assert caught.value.returncode == 3


def test_a_file_that_is_not_there_ends_with_3(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no document to compare with") as caught:
        check("--file", str(tmp_path / "none.json"))
    assert caught.value.returncode == 3


def test_an_opentrain_that_fails_ends_with_3(opentrain: OpenTrain) -> None:
    opentrain.fail_next(status=503)
    with pytest.raises(CommandError, match="503") as caught:
        check()
    assert caught.value.returncode == 3

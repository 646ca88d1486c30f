"""The figures of README: which statement holds, and what is found wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.quality import FIGURES, Meaning, figures_of, main, untrue

README = Path(__file__).resolve().parent.parent / "README.md"


@pytest.mark.parametrize(
    ("meaning", "stated", "measured", "holds"),
    [
        (Meaning.EXACTLY, 5, 5, True),
        (Meaning.EXACTLY, 5, 6, False),
        (Meaning.AT_LEAST, 7500, 7499, False),
        (Meaning.AT_LEAST, 7500, 7500, True),
        (Meaning.AT_LEAST, 7500, 9000, True),
        (Meaning.AT_LEAST, 7500, 9400, False),  # it says too little by now
        (Meaning.AT_MOST, 6, 6, True),
        (Meaning.AT_MOST, 6, 6.5, False),
    ],
)
def test_a_figure_is_what_it_says(meaning: Meaning, stated: int, measured: float, holds: bool) -> None:
    assert meaning.holds(stated, measured) is holds


def test_figures_are_marked_behind_them() -> None:
    text = "7,500<!-- tests --> tests cover 99 %<!-- coverage -->; 12 of them, 7,600<!-- tests -->"
    assert figures_of(text) == {"tests": [7500, 7600], "coverage": [99]}


def test_what_is_no_longer_true_is_said() -> None:
    stated = {"tests": [7500], "dependencies": [5], "stars": [9000]}
    assert list(untrue(stated, {"tests": 7000, "dependencies": 5})) == [
        "FAILED: tests: more than 7,500 is stated, 7,000 was measured",
        "FAILED: nothing measures 'stars'",
    ]


def test_the_readme_states_figures_that_are_measured() -> None:
    stated = figures_of(README.read_text(encoding="utf-8"))
    assert {"tests", "coverage"} <= set(stated) <= set(FIGURES)


def test_the_status_says_whether_all_are_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in set(FIGURES) - {"dependencies", "languages"}:
        monkeypatch.delitem(FIGURES, name)  # they take a while
    document = tmp_path / "README.md"
    for text, status in (
        ("5<!-- dependencies --> dependencies", 0),
        ("4<!-- dependencies --> dependencies", 1),
        ("no figure", 1),
    ):
        document.write_text(text, encoding="utf-8")
        assert main([str(document)]) == status
    assert "exactly 4" in capsys.readouterr().out

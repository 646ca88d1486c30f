"""What the repository promises about itself: its documents, version and migrations agree with its code."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.models import Model

import django_opentrain
from django_opentrain import models
from django_opentrain.conf import SETTINGS, conf
from django_opentrain.fields import EncryptedBinaryField, EncryptedTextField
from django_opentrain.services.conditions import CONDITIONS
from django_opentrain.web.presenters.overview import SCHEDULE

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SECTIONS = sorted((ROOT / "docs").glob("*/index.md"))
LINK = re.compile(r"\]\(([^)\s]+)\)")
PICTURE = re.compile(r'(?:src|srcset)="([^"]+\.png)"')
#: Bytes.
MAX_PICTURE = 150_000
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


# Documents ------------------------------------------------------------------------------------


def test_a_setting_has_a_type_and_follows_overrides(settings: Any) -> None:
    settings.OPENTRAIN = {"PUBLIC_URL": "https://a.example.com/", "MAX_RETRIES": 7}
    assert (conf.public_url, conf.max_retries) == ("https://a.example.com", 7)
    assert conf.event_types == SETTINGS["EVENT_TYPES"].default
    with pytest.raises(ImproperlyConfigured, match="APP_SLUG"):
        _ = conf.app_slug


def test_every_step_of_the_whole_run_is_documented() -> None:
    section = read("CONTRIBUTING.md").partition("| Step |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    assert documented == set(re.findall(r"^ *(?:step|in_time) ([a-z][\w-]*) ", read(".ci/run"), re.MULTILINE))


def anchor(heading: str) -> str:
    """The fragment that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, fragment = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.is_file(), target
        if fragment:
            headings = HEADING.findall(file.read_text(encoding="utf-8"))
            assert fragment in map(anchor, headings), target


def test_pictures_are_there_in_light_and_dark_and_shown() -> None:
    shown = {
        (document.parent / path).resolve()
        for document in DOCUMENTS
        for path in PICTURE.findall(document.read_text(encoding="utf-8"))
    }
    there = set((ROOT / "docs" / "images").glob("*.png"))
    assert shown == there
    names = {path.name.rpartition("-")[0] for path in there}
    assert {path.name for path in there} == {
        f"{name}-{scheme}.png" for name in names for scheme in ("dark", "light")
    }
    assert max(path.stat().st_size for path in there) <= MAX_PICTURE


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_examples_are_python(document: Path) -> None:
    for block in PYTHON_BLOCK.findall(document.read_text(encoding="utf-8")):
        ast.parse(block)


def linked_from(document: Path) -> set[Path]:
    targets = LINK.findall(document.read_text(encoding="utf-8"))
    return {(document.parent / target.partition("#")[0]).resolve() for target in targets}


@pytest.mark.parametrize("overview", ["README.md", "docs/index.md"])
def test_overviews_lead_to_every_section(overview: str) -> None:
    assert linked_from(ROOT / overview) >= {index.resolve() for index in SECTIONS}


@pytest.mark.parametrize("index", SECTIONS, ids=named)
def test_a_section_leads_to_each_of_its_pages(index: Path) -> None:
    assert linked_from(index) >= set(index.parent.glob("*.md")) - {index}


def test_each_condition_has_a_runbook_and_each_runbook_a_condition() -> None:
    names = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert names - {"index", "other-trouble"} == {*CONDITIONS, *SCHEDULE}


@pytest.mark.parametrize("name", [*CONDITIONS, *SCHEDULE])
def test_a_runbook_says_what_it_means_what_to_do_and_when_it_worked(name: str) -> None:
    title = CONDITIONS[name].title if name in CONDITIONS else SCHEDULE[name][0]
    text = read(f"docs/runbooks/{name}.md")
    assert text.startswith(f"# {name}\n\n*{title}.*\n\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["What it means", "What to do", "It worked when"]


def test_privacy_has_a_row_for_each_table_and_says_what_is_encrypted() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", read("docs/explanation/privacy.md"), re.MULTILINE))
    assert set(rows) == set(models.__all__)
    for name, row in rows.items():
        fields = getattr(models, name)._meta.get_fields()
        is_encrypted = any(isinstance(each, (EncryptedTextField, EncryptedBinaryField)) for each in fields)
        assert is_encrypted == ("**encrypted**" in row), name


def test_the_code_names_documents_that_are_there() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "django_opentrain").rglob("*.py")]
    found = {name for text in texts for name in re.findall(r"docs/[\w/-]+\.md", text)}
    assert len(found) > 5
    assert [name for name in found if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("page", sorted({*(ROOT / "docs" / "how-to").glob("*.md")} - {*SECTIONS}), ids=named)
def test_a_how_to_says_how_to_see_that_it_worked(page: Path) -> None:
    assert re.search(r"^\*\*It work(s|ed)\*\* when", page.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_example_adapter_is_shown_as_it_is() -> None:
    name, document = "example_project/labelling/adapter.py", "docs/how-to/adapter.md"
    shown = [block for block in PYTHON_BLOCK.findall(read(document)) if block.startswith(f"# {name}\n")]
    assert shown == [f"# {name}\n{read(name)}"], f"Copy {name} into {document}."


@pytest.mark.parametrize(
    ("heading", "language", "most"),
    [("Install in your site", "python", 11), ("Write an adapter", "python", 30)],
)
def test_the_readme_is_short(heading: str, language: str, most: int) -> None:
    section = read("README.md").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]
    assert 0 < len(lines) <= most


def test_recipes_are_from_sites_that_run() -> None:
    blocks = PYTHON_BLOCK.findall(read("docs/how-to/recipes.md"))
    for name, text in (block.split("\n", 1) for block in blocks):
        file = read(name.removeprefix("# "))
        assert text in file or indent(text, " " * 4) in file, text


def test_the_changelog_knows_this_version() -> None:
    headings = re.findall(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == django_opentrain.__version__


# Migrations -----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_no_model_has_changed_without_its_migration() -> None:
    call_command("makemigrations", "django_opentrain", check=True, dry_run=True, verbosity=0)


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_migrations_go_back_and_forth() -> None:
    def tables() -> set[str]:
        names = connection.introspection.table_names()
        return {name for name in names if name.startswith("django_opentrain_")}

    before = tables()
    call_command("migrate", "django_opentrain", "zero", verbosity=0)
    assert tables() == set()
    call_command("migrate", "django_opentrain", verbosity=0)
    assert tables() == before


@pytest.mark.parametrize("model", list(apps.get_app_config("django_opentrain").get_models()))
def test_no_foreign_key_has_an_index_with_which_a_unique_constraint_begins(model: type[Model]) -> None:
    covered = {each.fields[0] for each in model._meta.total_unique_constraints if each.fields}
    # The stubs don't know the attribute.
    indexed = {each.name for each in model._meta.local_fields if each.is_relation and vars(each)["db_index"]}
    assert not covered & indexed  # each index more is written with each row


def test_migrations_are_numbered_in_one_line() -> None:
    names = sorted(name for app, name in MigrationLoader(None).disk_migrations if app == "django_opentrain")
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))

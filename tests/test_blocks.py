"""The blocks in the documents that no other test runs: what they name is there.

Run to the letter are the README's installation, the tutorial, ``docs/how-to/test-your-site.md`` and the settings of
the platforms; unit files and proxies are in ``test_deployment.py``.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from celery.bin.celery import celery
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.template import engines

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
#: Modules of the reader's site, of platforms that aren't installed here, and the example's, whose blocks are copies.
ELSEWHERE = {"annotate", "config", "core", "example_project", "guardian", "labelling", "mysite"}
KNOWN = {"html", "ini", "json", "nginx", "python", "sh", "sql", "text", "yaml"}


def blocks(*languages: str) -> list[Any]:
    """Each block in one of these languages, without the indent that a list gives it."""
    return [
        pytest.param(
            re.sub(rf"^{indent}", "", text, flags=re.MULTILINE),
            id=f"{document.relative_to(ROOT)}-{number}",
        )
        for document in DOCUMENTS
        for number, (indent, language, text) in enumerate(BLOCK.findall(document.read_text(encoding="utf-8")))
        if language in languages
    ]


def test_each_block_has_a_language_that_is_checked() -> None:
    found = {
        language
        for document in DOCUMENTS
        for _indent, language, _text in BLOCK.findall(document.read_text(encoding="utf-8"))
    }
    assert found <= KNOWN


# Python ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", blocks("python"))
def test_a_python_block_imports_what_is_there(text: str) -> None:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom) or node.level or not node.module:
            continue
        if node.module.partition(".")[0] in ELSEWHERE or not find_spec(node.module.partition(".")[0]):
            continue
        module = import_module(node.module)
        assert [each.name for each in node.names if each.name != "*" and not hasattr(module, each.name)] == []


# Commands --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", blocks("sh"))
def test_a_shell_block_can_be_parsed(text: str) -> None:
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert done.stderr == ""


#: ``manage.py NAME …``, or one of ours without it.
CALL = re.compile(r"(?:(?:manage\.py|django-admin) (\w+)|^(opentrain_\w+)(?= --))([^`#|;&]*)")


def calls() -> Iterator[tuple[str, str, str]]:
    """The place, name and arguments of each call of a command, in a block or between backticks."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        lines = [
            line for *_, name, block in BLOCK.findall(text) if name == "sh" for line in block.splitlines()
        ]
        for code in [*lines, *CODE.findall(text)]:
            for full, bare, arguments in CALL.findall(code):
                yield str(document.relative_to(ROOT)), full or bare, arguments.strip()


@pytest.mark.parametrize(("place", "name", "arguments"), sorted(set(calls())))
def test_a_command_that_is_named_takes_these_options(place: str, name: str, arguments: str) -> None:
    found = {**get_commands(), "spectacular": "drf_spectacular"}.get(name)
    assert found is not None, place
    command = found if isinstance(found, BaseCommand) else load_command_class(found, name)
    actions = command.create_parser("manage.py", name)._actions
    options = {option for action in actions for option in action.option_strings}
    assert set(re.findall(r"(?<!\S)--[a-z-]+", arguments)) <= options


@pytest.mark.parametrize("text", [each for each in blocks("sh", "ini") if "celery " in str(each.values[0])])
def test_celery_takes_these_options(text: str) -> None:
    calls = re.findall(r"(?:^|[ /])celery ((?:--app|-A) .*)$", text, re.MULTILINE)
    for words in map(str.split, calls):
        subcommand = next(word for word in words[2:] if not word.startswith("-"))
        known = {
            option
            for each in (celery, celery.commands[subcommand])
            for parameter in each.params
            for option in parameter.opts
        }
        assert {word for word in words if word.startswith("-")} <= known


# Data and templates ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", blocks("json"))
def test_a_json_block_can_be_read(text: str) -> None:
    json.loads(text)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_yaml_block_can_be_read(text: str) -> None:
    yaml.safe_load(text)


@pytest.mark.parametrize("text", blocks("html"))
def test_a_template_can_be_compiled(text: str) -> None:
    """A block that continues another one may leave out what that one has loaded."""
    engines["django"].from_string(text if "{% extends" in text else f"{{% load opentrain %}}{text}")

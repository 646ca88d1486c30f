"""The management commands, from their help, their docstrings and their parsers."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterator, Mapping

from django.core.management import load_command_class
from django.core.management.base import BaseCommand

from tests.reference.markdown import PACKAGE, literal, prose, table


def commands() -> str:
    """An overview, and an entry for each."""
    found = {
        path.stem: load_command_class("django_opentrain", path.stem)
        for path in sorted((PACKAGE / "management" / "commands").glob("opentrain_*.py"))
    }
    rows = [
        (f"[`{name}`](#{name})", literal(command.help.partition(". ")[0].removesuffix(".")))
        for name, command in found.items()
    ]
    return "\n\n".join([table("Command", "Does", rows=rows), *_entries(found)])


def _entries(found: Mapping[str, BaseCommand]) -> Iterator[str]:
    usual = set(_options(BaseCommand()))
    for name, command in found.items():
        yield f"## {name}\n\n{literal(command.help)}"
        if said := type(command).__doc__:  # not inspect.getdoc(): that has Django's text where there is none
            yield literal(prose(inspect.cleandoc(said)))
        if own := [row for option, row in _options(command).items() if option not in usual]:
            yield table("Option", "Is", rows=own)


def _options(command: BaseCommand) -> dict[str, tuple[str, str]]:
    actions = command.create_parser("manage.py", "command")._actions
    return {each.dest: (_option(each), _help(each)) for each in actions}


def _help(action: argparse.Action) -> str:
    required = " (required)" if action.required and action.option_strings else ""
    return literal(f"{(action.help or '') % vars(action)}{required}")


def _option(action: argparse.Action) -> str:
    if action.nargs == 0:
        return f"`{action.option_strings[-1]}`"
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else ""
    takes = str(action.metavar or choices or action.dest.upper())
    return f"`{' '.join([*action.option_strings[-1:], takes])}`"

"""Every hook, with its signature, and when it is called: what docs/reference/code.md is made of."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from celery import Task

from django_opentrain import errors as our_errors
from django_opentrain import models as our_models
from django_opentrain import services as our_services
from django_opentrain import tasks as our_tasks
from django_opentrain.adapters import DjangoUsersAdapter, OpenTrainAdapter
from django_opentrain.api.urls import urlpatterns as of_api
from django_opentrain.templatetags.opentrain import register
from django_opentrain.web.urls import urlpatterns as of_pages
from tests.reference.markdown import PACKAGE, ROOT, comments, prose, table

FILE: Final = ROOT / "docs" / "reference" / "code.md"


class _Bare:
    """An annotation, which is a text, without its quotation marks."""

    def __init__(self, annotation: object) -> None:
        self._annotation = annotation

    def __repr__(self) -> str:
        return str(self._annotation)


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """As it is called, with types."""
    found = inspect.signature(function)
    parameters = [
        each if each.annotation is each.empty else each.replace(annotation=_Bare(each.annotation))
        for each in found.parameters.values()
    ]
    returned = found.return_annotation
    return found.replace(
        parameters=parameters, return_annotation=returned if returned is found.empty else _Bare(returned)
    )


def entry(name: str, code: str, meaning: str) -> str:
    """A function or value: its name as a heading, its code, and what it means."""
    return f"#### {name}\n\n```python\n{code}\n```\n\n{meaning}"


# The parts of the page -------------------------------------------------------------------------


def adapter() -> Iterator[str]:
    yield "## The adapter\n\nThe one class of yours: see [Your adapter](../how-to/adapter.md)."
    known: set[str] = set()
    for each, source in ((OpenTrainAdapter, "base.py"), (DjangoUsersAdapter, "users.py")):
        said = comments(PACKAGE / "adapters" / source, each.__name__)
        names = [name for name in vars(each) if not name.startswith("_") and name not in known]
        known.update(names)
        yield f"### {each.__name__}\n\n{prose(inspect.getdoc(each))}"
        for name in names:
            value = vars(each)[name]
            if inspect.isfunction(value):
                yield entry(name, f"def {name}{signature(value)}: ...", prose(inspect.getdoc(value)))
            else:
                yield entry(name, f"{name} = {value!r}", said[name])


def documented_services() -> Iterator[tuple[ModuleType, str]]:
    """The public functions: those that the documents name."""
    modules = "|".join(our_services.__all__)
    call = re.compile(rf"`({modules})\.([a-z_]+)\(")
    texts = [
        each.read_text(encoding="utf-8") for each in sorted((ROOT / "docs").rglob("*.md")) if each != FILE
    ]
    names = {found for text in texts for found in call.findall(text)}
    for module, name in sorted(names):
        yield import_module(f"django_opentrain.services.{module}"), name


def services() -> Iterator[str]:
    yield (
        "## Services\n\nFrom `django_opentrain.services`: see [From Python](python.md#services). What they raise is"
        " in `django_opentrain.errors`."
    )
    title = ""
    for module, name in documented_services():
        short = module.__name__.rpartition(".")[2]
        if short != title:
            title = short
            yield f"### {short}\n\n{prose(inspect.getdoc(module))}"
        function = getattr(module, name)
        code = f"def {name}{signature(function)}: ..."
        yield entry(f"{short}.{name}", code, prose(inspect.getdoc(function)))


def template_tags() -> Iterator[str]:
    yield (
        "## Template tags\n\n`{% load opentrain %}`: see [the pages]"
        "(../how-to/own-pages.md#link-to-them-from-your-own-pages)."
    )
    for name, tag in sorted(register.tags.items()):
        function = inspect.unwrap(tag)
        arguments = [each for each in inspect.signature(function).parameters if each != "context"]
        yield f"`{{% {' '.join([name, *arguments])} %}}`: {prose(inspect.getdoc(function))}"


def templates() -> Iterator[str]:
    folder = PACKAGE / "templates"
    mails = sorted((folder / "opentrain" / "mail").iterdir())
    pages = sorted((folder / "opentrain").glob("*.html"))
    yield (
        "## Templates\n\nPut one of the same name before ours to replace it: see [make them look like"
        " yours](../how-to/own-pages.md#make-them-look-like-yours). What the pages' own templates are given may"
        " change with any version; what mails are given stays."
    )
    yield table("Mail", "Is given", rows=[(_named(each, folder), _variables(each)) for each in mails])
    yield table("Page", "Blocks", rows=[(_named(each, folder), _blocks(each)) for each in pages])


def _named(template: Path, folder: Path) -> str:
    return f"`{template.relative_to(folder)}`"


def _variables(template: Path) -> str:
    text = template.read_text(encoding="utf-8")
    used = re.findall(r"{{ ?(\w+)", text) + re.findall(r"=(\w+)", text)
    own = set(re.findall(r"(?:with|count) (\w+)=", text))
    return ", ".join(f"`{name}`" for name in sorted(set(used) - own)) or "nothing"


def _blocks(template: Path) -> str:
    names = re.findall(r"{% block (\w+)", template.read_text(encoding="utf-8"))
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names))


def url_names() -> Iterator[str]:
    yield (
        "## URL names\n\nOf `django_opentrain.web.urls`. Paths are below where you include it. See"
        " [the customer's pages](pages.md)."
    )
    yield table(
        "Name", "Path", "What it is", rows=[_url(each, "opentrain") for each in of_pages if each.name]
    )
    yield (
        "Of the API: `opentrain:api-…` with `django_opentrain.urls`, else `opentrain_api:api-…`. See"
        " [The JSON API](api.md#resources)."
    )
    rows = [
        (f"`{each.name}`", f"`{each.pattern}`", ", ".join(map(str.upper, _methods(each)))) for each in of_api
    ]
    yield table("Name", "Path", "Methods", rows=rows)


def _methods(pattern: Any) -> list[str]:
    """Without HEAD, which REST framework adds with the first request."""
    actions: dict[str, str] = vars(pattern.callback)["actions"]
    return [each for each in actions if each != "head"]


def _url(pattern: Any, namespace: str) -> tuple[str, str, str]:
    meaning = prose(inspect.getdoc(pattern.callback)).partition("\n\n")[0]
    path = f"`{pattern.pattern}`" if str(pattern.pattern) else "(none)"
    return f"`{namespace}:{pattern.name}`", path, meaning


def tasks() -> Iterator[str]:
    found = [each for each in vars(our_tasks).values() if isinstance(each, Task)]
    yield (
        "## Tasks\n\nThe names by which Celery routes them (`task_routes`); all begin with `django_opentrain.`. See"
        " [operations](../how-to/production.md)."
    )
    rows = [
        (f"`{each.name}`", ", ".join(inspect.signature(each.run).parameters), prose(inspect.getdoc(each.run)))
        for each in found
    ]
    yield table("Task", "Takes", "Does", rows=rows)


def models() -> Iterator[str]:
    yield (
        "## Models\n\nFrom `django_opentrain.models`. Read them as you like; services write them. Querysets have"
        " methods for what is asked often."
    )
    for name in our_models.__all__:
        model = getattr(our_models, name)
        yield f"### {name}\n\n{prose(inspect.getdoc(model))}"
        fields = [*model._meta.fields, *model._meta.many_to_many]
        yield table("Field", "Type", "Is", rows=map(_field, fields))
        if methods := list(_queryset(model)):
            yield table("Queryset", "Is", rows=methods)


def _field(field: Any) -> tuple[str, str, str]:
    kind = field.get_internal_type() if not field.is_relation else f"→ {field.related_model.__name__}"
    choices = ", ".join(f"`{value}`" for value, _label in field.flatchoices if value != "")
    says = [str(field.help_text), choices]
    return f"`{field.name}`", f"{kind}{', null' if field.null else ''}", ". ".join(filter(None, says))


def _queryset(model: Any) -> Iterator[tuple[str, str]]:
    queryset = type(model._default_manager.all())
    if not queryset.__module__.startswith("django_opentrain."):
        return
    for name, method in vars(queryset).items():
        if not inspect.isfunction(method) or name.startswith("_"):
            continue
        found = inspect.signature(method)
        if found.return_annotation != "None":
            parameters = [each for each in found.parameters if each != "self"]
            yield f"`{name}({', '.join(parameters)})`", prose(inspect.getdoc(method))


def errors() -> Iterator[str]:
    yield (
        "## Errors\n\nFrom `django_opentrain.errors`: see [what they have in common](python.md#services). Customers"
        " may read the text of those that are public."
    )
    found = [getattr(our_errors, name) for name in our_errors.__all__]
    yield table("Error", "Is a", "`code`", "`http_status`", "Public", "Raised", rows=map(_error, found))


def _error(each: type[Any]) -> tuple[str, ...]:
    bases = ", ".join(f"`{base.__name__}`" for base in each.__bases__)
    meaning = prose(inspect.getdoc(each)).partition("\n\n")[0]
    status = str(each.http_status) if isinstance(each.http_status, int) else ""
    code = f"`{each.code}`" if isinstance(each.code, str) else ""
    return f"`{each.__name__}`", bases, code, status, "yes" if each.public is True else "", meaning


def reference() -> str:
    """The whole page."""
    parts = (
        adapter,
        services,
        errors,
        template_tags,
        templates,
        url_names,
        tasks,
        models,
    )
    return "\n\n".join(textwrap.dedent(each).strip() for part in parts for each in part())

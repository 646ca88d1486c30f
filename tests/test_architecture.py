"""Imports point one way, and few modules write: docs/explanation/architecture.md says which."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from django_opentrain import models

PACKAGE = Path(__file__).resolve().parent.parent / "django_opentrain"

#: What each part may import of the package, in addition to itself. Modules at the top level are parts of their own.
BASICS = {
    "acting",
    "platform",
    "conf",
    "conflicts",
    "constraints",
    "ciphers",
    "crypto",
    "errors",
    "explanations",
    "fields",
    "clients",
    "languages",
    "lazy_messages",
    "relative_time",
    "signals",
    "time_limits",
    "transactions",
    "user_model",
    "view_decorators",
}
BELOW_SERVICES = BASICS | {"models", "adapters"}
EDGE = BELOW_SERVICES | {"services"}
ALLOWED = {
    "platform": set(),
    "errors": {"platform"},
    "explanations": {"platform", "errors"},
    "sandbox": {"platform"},
    "models": BASICS,
    "adapters": BASICS | {"models"},
    "permissions": set(),
    "services": BELOW_SERVICES,
    "observers": EDGE,
    "middleware": EDGE | {"web"},
    "web": EDGE,
    "api": EDGE,
    "templatetags": EDGE | {"web"},
    "admin": EDGE | {"web"},
    "checks": EDGE | {"schedule", "tasks"},
    "management": EDGE | {"sandbox"},
    "tasks": EDGE,
}
#: The standard library and these are all that OpenTrain's own words and the sandbox need.
WITHOUT_DJANGO = {
    "platform": {"requests", "urllib3"},
    "sandbox": {"requests", "urllib3"},
}
#: Inside ``services/`` a story may use those above it in this list. Those of one line don't know each other.
STORIES = [
    {"workers"},
    {"access"},
    {"work"},
    {"usage"},
    {"conditions"},
    {"health"},
    {"endpoint_traffic", "overview"},
    {"metrics"},
    {"endpoints", "linking", "purge"},
    {"connect"},
    {"inbox"},
    {"reconcile"},
    {"clock"},
    {"sweep"},
    {"doctor"},
]
#: Who writes rows. ``platform`` and ``sandbox`` know no database.
WRITERS = {
    "services",
    "models",  # the querysets' named verbs
    "adapters",  # the site's own rows, and OWN_BY_ADAPTERS
    "admin/history.py",  # Django's history of each row
    "testing",
}
#: The tables of ours that the default adapter keeps. The canary's rows are rolled back.
OWN_BY_ADAPTERS = {"TrainerAccount"}
CANARY = PACKAGE / "adapters" / "canary.py"
#: Where no task of ours runs: the doctor, and a thread of its own, in which Celery raises nothing.
IN_NO_TASK = {"services/doctor", "services/workers/wakeup.py"}
#: What ends a handler that swallows nothing: the latter raises it in a generator.
RAISED = {"raise", "return partial(steps.throw, error)"}
WRITES = {"save", "create", "delete", "get_or_create", "update_or_create", "bulk_create", "bulk_update"}


def modules_of(part: str) -> list[Path]:
    folder = PACKAGE / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{part}.py"]


@cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def imports_of(module: Path, *, running: bool = False) -> Iterator[str]:
    """What it imports, under ``TYPE_CHECKING`` as well, unless ``running``."""
    tree = tree_of(module)
    typed = {
        inner
        for node in ast.walk(tree)
        if running and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typed:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(module: Path) -> str:
    parts = module.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {name_of(module): module for module in sorted(PACKAGE.rglob("*.py"))}


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_point_one_way(part: str) -> None:
    allowed = ALLOWED[part] | {part, "__version__"}
    wrong = [
        f"{module.relative_to(PACKAGE)} imports {name}"
        for module in modules_of(part)
        for name in imports_of(module)
        if name.startswith("django_opentrain.") and name.split(".")[1] not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("part", WITHOUT_DJANGO)
def test_what_knows_no_django_stays_so(part: str) -> None:
    known = WITHOUT_DJANGO[part] | set(sys.stdlib_module_names) | {"django_opentrain"}
    wrong = [
        f"{module.relative_to(PACKAGE)} imports {name}"
        for module in modules_of(part)
        for name in imports_of(module)
        if name.split(".")[0] not in known
    ]
    assert wrong == []


def is_around(package: str, name: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def loaded_by(name: str) -> Iterator[str]:
    """The modules that importing ``name`` loads: itself, or what defines it, and the packages around that."""
    parts = name.split(".")
    for length in range(2, len(parts) + 1):
        if (module := ".".join(parts[:length])) in MODULES:
            yield module


def dependencies() -> Mapping[str, set[str]]:
    """Each module, and those that it loads; the packages around it are loaded already.

    Relations have two ends, and so have the models' types.
    """
    return {
        name: {
            loaded
            for imported in imports_of(module, running=module.parent.name == "models")
            for loaded in loaded_by(imported)
            if not is_around(loaded, name)
        }
        for name, module in MODULES.items()
    }


def test_no_modules_import_each_other() -> None:
    try:
        TopologicalSorter(dependencies()).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_inside_a_package_submodules_are_imported() -> None:
    """Not what its ``__init__`` exports, which is for those outside."""
    wrong = [
        f"{name} imports {imported}"
        for name, module in MODULES.items()
        for imported in imports_of(module)
        if imported not in MODULES
        and imported != "django_opentrain.__version__"
        and imported.rpartition(".")[0] in MODULES
        and is_around(imported.rpartition(".")[0], name.rpartition(".")[0])
    ]
    assert wrong == []


def test_services_are_stories_in_an_order() -> None:
    folder = PACKAGE / "services"
    assert {each.stem for each in folder.iterdir()} - {"__init__", "__pycache__"} == set().union(*STORIES)
    wrong = []
    known: set[str] = set()
    for line in STORIES:
        for story in line:
            for module in modules_of(f"services/{story}"):
                used = {
                    name.split(".")[2]
                    for name in imports_of(module)
                    if name.startswith("django_opentrain.services.")
                }
                if used - known - {story}:
                    wrong.append(f"{name_of(module)} imports {used - known - {story}}")
        known |= line
    assert wrong == []


def writes_of(module: Path) -> Iterator[str]:
    """The first name in each expression that writes rows: ``Install`` of ``Install.objects.create()``."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            # A dict's update() takes a mapping, a queryset's only keywords.
            is_update = node.func.attr == "update" and node.keywords and not node.args
            if is_update or node.func.attr in WRITES:
                yield first_name(node.func)


def first_name(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return ast.unparse(node)


def test_few_modules_write() -> None:
    wrong = [
        f"{module.relative_to(PACKAGE)} writes {name}"
        for module in MODULES.values()
        if (path := module.relative_to(PACKAGE)).parts[0] not in {*WRITERS, *WITHOUT_DJANGO, "migrations"}
        and path.as_posix() not in WRITERS
        for name in writes_of(module)
    ]
    assert wrong == []


def test_adapters_write_no_rows_of_the_core() -> None:
    foreign = set(models.__all__) - OWN_BY_ADAPTERS
    wrong = [
        f"{module.relative_to(PACKAGE)} writes {name}"
        for module in modules_of("adapters")
        if module != CANARY
        for name in writes_of(module)
        if name in foreign
    ]
    assert wrong == []


def test_no_cursor_outlives_its_transaction() -> None:
    """``.iterator()`` opens one on PostgreSQL, which fails behind PgBouncer in transaction mode."""
    opened = [
        f"{module.relative_to(PACKAGE)}:{node.lineno}"
        for module in MODULES.values()
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "iterator"
    ]
    assert opened == []


def test_a_soft_time_limit_is_no_failure_like_others() -> None:
    """Celery's exception is an ``Exception``: what catches all of them has to let it end the task."""
    caught = [
        f"{module.relative_to(PACKAGE)}:{handler.lineno}"
        for part in ("services", "adapters", "observers")
        for module in modules_of(part)
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Try)
        for handler in node.handlers
        if handler.type is not None and ast.unparse(handler.type) in ("Exception", "BaseException")
        if not module.relative_to(PACKAGE).as_posix().startswith(tuple(IN_NO_TASK))
        if "soft_time_limit()" not in "".join(map(ast.unparse, node.handlers))
        and ast.unparse(handler.body[-1]) not in RAISED
    ]
    assert caught == []


#: What is of one database: ``default``'s without ``using``, where a site's routers may not keep our tables.
OF_ONE_DATABASE = {"atomic", "on_commit", "get_connection", "set_rollback"}


def test_transactions_are_in_the_database_of_our_models() -> None:
    wrong = []
    for module in MODULES.values():
        named = {
            node.func
            for node in ast.walk(tree_of(module))
            if isinstance(node, ast.Call) and any(keyword.arg == "using" for keyword in node.keywords)
        }
        wrong += [
            f"{module.relative_to(PACKAGE)}, line {node.lineno}: transaction.{node.attr}"
            for node in ast.walk(tree_of(module))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr in OF_ONE_DATABASE) == ("transaction", True)
            and node not in named
        ]
    assert wrong == []


#: What opens a transaction in ``services/``.
TRANSACTIONS = {"atomic", "install_lock", "locked", "unit_of_work"}


def opens_transaction(function: ast.FunctionDef) -> bool:
    items = [item for node in ast.walk(function) if isinstance(node, ast.With) for item in node.items]
    calls = [item.context_expr for item in items if isinstance(item.context_expr, ast.Call)]
    return any(ast.unparse(call.func).rpartition(".")[2] in TRANSACTIONS for call in calls)


def test_a_transaction_that_the_database_undoes_is_repeated() -> None:
    forgotten = [
        f"{name_of(module)}.{node.name}"
        for module in modules_of("services")
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.FunctionDef)
        and opens_transaction(node)
        and "retried" not in map(ast.unparse, node.decorator_list)
        # Itself what the others open.
        and node.name not in TRANSACTIONS
    ]
    assert forgotten == []

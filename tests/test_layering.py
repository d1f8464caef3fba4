"""Who may import whom. Every import counts: for types only, inside a function, relative or not."""

import ast
import graphlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pipeline"


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(file): file for file in sorted(PACKAGE.rglob("*.py"))}
PACKAGES = {name for name, file in FILES.items() if file.name == "__init__.py"}


def imports_of(module: str, source: str) -> set[str]:
    """Every module that the source of `module` imports, wherever the import stands."""
    package = module if module in PACKAGES else module.rpartition(".")[0]
    return {found for node in ast.walk(ast.parse(source)) for found in _imported(node, package)}


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        up = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*up, *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            yield inner if inner in FILES else base
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "importlib.import_module"):
        assert isinstance(node.args[0], ast.Constant), "a computed import hides from this test"
        yield str(node.args[0].value)


IMPORTS = {name: imports_of(name, file.read_text(encoding="utf-8")) for name, file in FILES.items()}


def within(name: str, scopes: Iterable[str]) -> bool:
    return any(name == scope or name.startswith(f"{scope}.") for scope in scopes)


def ours(module: str) -> set[str]:
    return {name for name in IMPORTS[module] if within(name, ["pipeline"])}


def modules(*scopes: str) -> list[str]:
    return [name for name in FILES if within(name, [f"pipeline.{scope}" for scope in scopes])]


# Each group may import itself and every group above it, as far as it is named here; no more.
LAYERS: list[tuple[str, list[str], list[str]]] = [
    ("version", ["version"], []),
    ("checksum", ["checksum"], []),
    ("masking, clock", ["masking", "clock"], []),
    ("errors", ["errors"], ["masking"]),
    ("models", ["models"], ["errors", "checksum"]),
    ("ports", ["ports"], ["errors", "models"]),
    ("api.rules", ["api.rules"], ["errors", "models"]),  # data, and what a job may overrule
    ("spec", ["spec"], ["errors", "models", "api.rules"]),
    (
        "retry, limiter, guards, gate, quota",
        ["retry", "limiter", "guards", "gate", "quota"],
        ["clock", "errors", "models"],
    ),
    (
        "manifest, items, pictures, hits, record",
        ["manifest", "items", "pictures", "hits", "record"],
        ["version", "checksum", "errors", "models", "spec"],
    ),
    ("api.strict, api.wire", ["api.strict", "api.wire"], ["errors", "models", "api.rules"]),
    (
        "api.auth, api.transport",
        ["api.auth", "api.transport"],
        ["version", "masking", "clock", "errors", "models", "api.rules", "api.wire"],
    ),
    (
        "api.client, api.doubt, api.sender, api.stats, api.tokens",
        ["api.client", "api.doubt", "api.sender", "api.stats", "api.tokens"],
        [
            "clock",
            "errors",
            "models",
            "ports",
            "retry",
            "limiter",
            "guards",
            "gate",
            "quota",
            "api.rules",
            "api.wire",
            "api.auth",
            "api.transport",
        ],
    ),
    ("journal, sink", ["journal", "sink"], ["clock", "checksum", "errors", "models", "ports"]),
    ("intake, feed", ["intake", "feed"], ["errors", "models", "ports"]),
    (
        "process",
        ["process"],
        ["clock", "errors", "models", "ports", "spec", "hits", "pictures", "record"],
    ),
    (
        "engine",
        ["engine"],
        ["errors", "models", "ports", "spec", "guards", "hits", "pictures", "record", "intake", "feed", "process"],
    ),
    ("report", ["report"], ["errors", "models"]),
    ("sandbox", ["sandbox"], ["errors", "models", "resources", "api.wire"]),
    ("resources", ["resources"], []),
]


@pytest.mark.parametrize(("group", "allowed"), [pytest.param(row[1], row[2], id=row[0]) for row in LAYERS])
def test_a_layer_imports_only_what_lies_below_it(group: list[str], allowed: list[str]) -> None:
    assert modules(*group), "the group is gone; mend the table"
    below = [f"pipeline.{name}" for name in (*group, *allowed)]
    wrong = {
        name: sorted(found for found in ours(name) if found != "pipeline" and not within(found, below))
        for name in modules(*group)
    }
    assert {name: found for name, found in wrong.items() if found} == {}


# Who may import a library (`pipeline.` is left out).
LIBRARIES = {
    "aiohttp": ["api.transport", "sandbox"],
    "yarl": ["api.transport", "sandbox"],
    "sqlite3": ["journal"],
    "yaml": ["spec"],
    "typer": ["cli"],
    "rich": ["cli"],
    "numpy": ["sandbox"],
    "jinja2": ["report"],
    "orjson": ["api.strict"],
    "zlib_ng": ["checksum"],
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_known_to_one_part_alone(library: str) -> None:
    allowed = [f"pipeline.{name}" for name in LIBRARIES[library]]
    users = [name for name, found in IMPORTS.items() if any(within(one, [library]) for one in found)]
    assert users, "nobody uses it any more; mend the table"
    assert [name for name in users if not within(name, allowed)] == []


@pytest.mark.parametrize(
    "module",
    [
        "pipeline.api.strict",
        "pipeline.api.wire",
        "pipeline.api.rules",
        "pipeline.hits",
        "pipeline.retry",
        "pipeline.guards",
    ],
)
def test_what_is_pure_imports_nothing_that_does_io(module: str) -> None:
    doing = ["aiohttp", "anyio", "asyncio", "sqlite3", "yaml", "socket", "ssl", "os", "pathlib", "io", "time", "random"]
    assert [name for name in IMPORTS[module] if within(name, doing)] == []


@pytest.mark.parametrize("module", ["pipeline.engine", "pipeline.process", "pipeline.intake", "pipeline.feed"])
def test_the_engine_knows_the_vendor_and_the_journal_only_as_protocols(module: str) -> None:
    foreign = ["aiohttp", "yaml", "sqlite3", "pipeline.api", "pipeline.journal", "pipeline.sink", "pipeline.sandbox"]
    assert [name for name in IMPORTS[module] if within(name, foreign)] == []


def test_only_app_and_cli_import_the_sandbox() -> None:
    users = {name for name in FILES if any(within(one, ["pipeline.sandbox"]) for one in IMPORTS[name])}
    assert [name for name in users if not within(name, ["pipeline.sandbox", "pipeline.app", "pipeline.cli"])] == []


def test_nothing_imports_the_command_line_but_main() -> None:
    users = {name for name in FILES if any(within(one, ["pipeline.cli"]) for one in IMPORTS[name])}
    assert [name for name in users if not within(name, ["pipeline.cli", "pipeline.__main__"])] == []


def test_nothing_but_the_command_line_and_the_package_itself_imports_the_composition() -> None:
    users = {name for name in FILES if "pipeline.app" in IMPORTS[name]}
    assert [name for name in users if name != "pipeline" and not within(name, ["pipeline.cli"])] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: ours(name) - PACKAGES - {name} for name in FILES if name not in PACKAGES}
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_no_module_imports_its_own_package_file() -> None:
    """That would be a circle too: the package file imports the module. The root holds only the version."""
    wrong = {
        name: sorted(found & PACKAGES)
        for name in FILES
        if (found := ours(name) - {"pipeline"}) and name not in PACKAGES
    }
    assert {name: found for name, found in wrong.items() if any(within(name, [one]) for one in found)} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("import aiohttp.web", {"aiohttp.web"}, id="plain"),
        pytest.param("from pipeline import models", {"pipeline.models"}, id="a module of a package"),
        pytest.param("from pipeline import __version__", {"pipeline"}, id="a name of a package"),
        pytest.param("from .wire import Token", {"pipeline.api.wire"}, id="relative"),
        pytest.param("from ..errors import X", {"pipeline.errors"}, id="relative, up"),
        pytest.param("from . import wire", {"pipeline.api.wire"}, id="relative module"),
        pytest.param("if TYPE_CHECKING:\n    import yaml", {"yaml"}, id="for types"),
        pytest.param("def f():\n    import sqlite3", {"sqlite3"}, id="in a function"),
        pytest.param("importlib.import_module('yaml')", {"yaml"}, id="by name"),
    ],
)
def test_every_way_to_import_is_seen(source: str, found: set[str]) -> None:
    assert imports_of("pipeline.api.client", source) == found

"""The house rules that a tool does not check: libraries, purity, sizes and the first word of a docstring.

The order of the rooms is checked by `make lint`.
"""

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pipeline"


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(file): file for file in sorted(PACKAGE.rglob("*.py"))}
PACKAGES = {name for name, file in FILES.items() if file.name == "__init__.py"}


def imports_of(module: str, source: str) -> set[str]:
    """Every module that the source of `module` imports, wherever the import stands."""
    package = module if module in PACKAGES else module.rpartition(".")[0]
    return {found for node in nodes_of(source) for found in _imported(node, package)}


@functools.cache
def nodes_of(source: str) -> tuple[ast.AST, ...]:
    """Parse a source, which several rules look at, once."""
    return tuple(ast.walk(ast.parse(source)))


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


@functools.cache
def imports() -> dict[str, set[str]]:
    """Read what every module imports, once, and not yet when tests are collected: each process collects all of them."""
    return {name: imports_of(name, file.read_text(encoding="utf-8")) for name, file in FILES.items()}


def within(name: str, scopes: Iterable[str]) -> bool:
    return any(name == scope or name.startswith(f"{scope}.") for scope in scopes)


# Who may import a library (`pipeline.` is left out).
LIBRARIES = {
    "aiohttp": ["calls.connection", "calls.downloads", "calls.lookups", "calls.proxy", "calls.transport", "sandbox"],
    "yarl": ["calls.downloads", "calls.transport", "sandbox"],
    "aiolimiter": ["calls.access"],
    "sqlite3": [
        "cluster.ids",
        "journal",
        "offline.doctor.machine",
        "offline.salvage",
        "run.known_patents",
        "sources.looks",
    ],
    "yaml": ["job"],
    "dotenv": ["job.environment"],
    "typer": ["cli"],
    "rich": ["cli.live", "cli.screen"],
    "numpy": ["sandbox"],
    "jinja2": ["results.page"],
    "orjson": ["endpoints.strict_json"],
    "zlib_ng": ["system.checksum"],
    "python_calamine": ["sources"],
    "pillow_heif": ["sources.decoding"],
    "xlsxwriter": ["results.exports.picture_parts", "results.exports.sheet"],
    "typst": ["results.exports.pdf"],
    "ray": ["cluster.ray"],
    "pyarrow": ["results.exports.parquet_file"],
    "obstore": ["leases.object_store"],
    "cryptography": ["leases.sealed"],
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_known_to_one_part_alone(library: str) -> None:
    allowed = [f"pipeline.{name}" for name in LIBRARIES[library]]
    users = [name for name, found in imports().items() if any(within(one, [library]) for one in found)]
    assert users, "nobody uses it any more; mend the table"
    assert [name for name in users if not within(name, allowed)] == []


# A module, or a room whose modules are all pure.
PURE = ["endpoints", "results.hits", "calls.retry", "calls.breaker", "engine.stops"]


@pytest.mark.parametrize("scope", PURE)
def test_what_is_pure_imports_nothing_that_does_io(scope: str) -> None:
    doing = ["aiohttp", "anyio", "asyncio", "sqlite3", "yaml", "socket", "ssl", "os", "pathlib", "io", "time", "random"]
    modules = [name for name in FILES if within(name, [f"pipeline.{scope}"])]
    assert modules, "it is gone; mend the table"
    wrong = {name: sorted(one for one in imports()[name] if within(one, doing)) for name in modules}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_a_package_file_imports_nothing() -> None:
    """An import there costs every command's start, and closes circles. The root alone holds the version."""
    assert {name: found for name, found in imports().items() if name in PACKAGES - {"pipeline"} and found} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("import aiohttp.web", {"aiohttp.web"}, id="plain"),
        pytest.param("from pipeline import models", {"pipeline.models"}, id="a module of a package"),
        pytest.param("from pipeline import __version__", {"pipeline"}, id="a name of a package"),
        pytest.param("from .client import Client", {"pipeline.calls.client"}, id="relative"),
        pytest.param("from ..errors import X", {"pipeline.errors"}, id="relative, up"),
        pytest.param("from . import client", {"pipeline.calls.client"}, id="relative module"),
        pytest.param("if TYPE_CHECKING:\n    import yaml", {"yaml"}, id="for types"),
        pytest.param("def f():\n    import sqlite3", {"sqlite3"}, id="in a function"),
        pytest.param("importlib.import_module('yaml')", {"yaml"}, id="by name"),
    ],
)
def test_every_way_to_import_is_seen(source: str, found: set[str]) -> None:
    assert imports_of("pipeline.calls.transport", source) == found


# --- sizes and words ---

LONGEST = 300


def too_long(source: str) -> bool:
    return source.count("\n") > LONGEST


def test_no_module_is_longer_than_one_can_read_at_once() -> None:
    assert {name for name, file in FILES.items() if too_long(file.read_text(encoding="utf-8"))} == set()


# Words that make a riddle of a docstring's first sentence: "What a failed call means" instead of "Tell what ...".
RIDDLE = re.compile(r"(What|Who|That|As|How|When|Where)\b")


def riddles(source: str) -> list[str]:
    """Return the docstrings that begin with such a word."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = [node for node in nodes_of(source) if isinstance(node, documented)]
    return [said for node in nodes if RIDDLE.match(said := ast.get_docstring(node) or "")]


def test_a_docstring_begins_with_a_verb_or_a_noun() -> None:
    found = {name: riddles(file.read_text(encoding="utf-8")) for name, file in FILES.items()}
    assert {name: said for name, said in found.items() if said} == {}


def lost_updates(source: str) -> list[str]:
    """Return the assignments that read an attribute, wait, and write it: what others write meanwhile is lost."""
    changes = [node for node in nodes_of(source) if isinstance(node, ast.Assign | ast.AugAssign)]
    return [ast.unparse(node) for node in changes if _waits_in_between(node)]


def _waits_in_between(node: ast.Assign | ast.AugAssign) -> bool:
    targets = [node.target] if isinstance(node, ast.AugAssign) else node.targets
    kept = {ast.unparse(target) for target in targets if isinstance(target, ast.Attribute | ast.Subscript)}
    if not any(isinstance(inner, ast.Await) for inner in ast.walk(node.value)):
        return False
    if isinstance(node, ast.AugAssign):
        return bool(kept)
    kept = {name for name in kept if name.startswith("self.")}  # an argument may be one task's alone
    return any(ast.unparse(inner) in kept for inner in ast.walk(node.value) if isinstance(inner, ast.expr))


def test_no_update_of_an_attribute_is_lost_over_a_wait() -> None:
    found = {name: lost_updates(file.read_text(encoding="utf-8")) for name, file in FILES.items()}
    assert {name: said for name, said in found.items() if said} == {}


DOCUMENT = re.compile(r"[\w./-]*\w\.(?:md|rst)\b")


def documents(text: str) -> list[str]:
    """Return the documents that a text names."""
    return DOCUMENT.findall(text)


def test_every_document_that_a_text_names_is_in_the_repository() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*") if path.suffix in (".py", ".j2")}
    named = {(str(path.relative_to(ROOT)), name) for path, text in texts.items() for name in documents(text)}
    assert [(path, name) for path, name in sorted(named) if not (ROOT / name).is_file()] == []


def test_what_breaks_these_rules_is_seen() -> None:
    """Negative controls."""
    assert too_long("\n" * 301)
    assert not too_long("\n" * 300)
    for source in (
        '"""What is it."""',
        'def f():\n    """Where it is."""',
        'class C:\n    async def f(self):\n        "As g."',
    ):
        assert len(riddles(source)) == 1
    assert riddles('"""Whatever comes."""\ndef f():\n    """Return what is there."""') == []
    wrong = ("self.a |= not await f()", "self.a[0] += await f()", "self.a = self.a or await f()")
    right = ("a += await f()", "self.a = await f()", "self.a += b")
    for source in wrong + right:
        assert bool(lost_updates(f"async def g():\n    {source}")) == (source in wrong), source
    assert documents("# see api-contract.md, docs/reliability.md and ../shared/design.md") == [
        "api-contract.md",
        "docs/reliability.md",
        "../shared/design.md",
    ]


# --- the tests' own house ---

HELPERS = re.compile(r"from (tests\.(?!support\b|proof\b|bench\b)[\w.]+|conftest) import|import tests\b")


def test_helpers_of_tests_come_from_one_place() -> None:
    """Helpers are in tests/support; the proofs and the benchmarks are programs of their own."""
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}
    found = {str(path.relative_to(ROOT)): HELPERS.findall(text) for path, text in texts.items()}
    assert {path: names for path, names in found.items() if names and path != "tests/house/test_house.py"} == {}
    assert HELPERS.findall("from tests.calls.conftest import search\nfrom tests.support.jobs import job") != []


def test_json_is_read_as_structs_in_one_way() -> None:
    """Else two threads that use a type for the first time end the process (system/structs.py)."""
    reads = re.compile(r"json\.decode\([^\n]*(\n[^\n]*)?\btype=")
    assert reads.search("msgspec.json.decode(\n    f(data), type=Record\n)")
    assert {name for name, file in FILES.items() if reads.search(file.read_text(encoding="utf-8"))} == set()

"""The texts of the program that may reach a person, read from its source as templates.

An f-string becomes its text with `{name}` for each value; `count(n, "item")` becomes `{n:#} [item|items]`.
"""

import ast
import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[2] / "pipeline"
_AGREE = {
    ("is", "are"),
    ("has", "have"),
    ("it", "them"),
    ("it is", "they are"),
    ("call", "calls"),
    ("unit", "units"),
    ("shows", "show"),
}
_NUMBER = re.compile(r"[,\d.]*[dfg,%]")
_FILLED = re.compile(r"(?<!\{)\{([a-z_]*)\}(?!\})")
_LOGGED = re.compile(r"[a-z]+\.[a-z_]+ (.*%[-.0-9]*[a-z].*)")
_LISTS = {"listed", "enumerated", "join"}


class Message(NamedTuple):
    """A text in the source: its template, and where it stands."""

    template: str
    file: str
    line: int


@cache
def messages() -> tuple[Message, ...]:
    """Read every text of the program, docstrings of commands included, file by file."""
    found: list[Message] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        name = str(path.relative_to(PACKAGE))
        for node in _texts(tree, name):
            found += [Message(text, name, node.lineno) for text in _templates(node)]
    return tuple(found)


def _texts(tree: ast.Module, name: str) -> Iterator[ast.expr]:
    """Yield the texts of a module without docstrings and parts of other texts."""
    inner: set[ast.AST] = set()
    nodes = list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inner.add(node.value)  # a docstring
        elif isinstance(node, ast.JoinedStr):
            inner.update(part for part in node.values if isinstance(part, ast.Constant))
            for value in node.values:
                if isinstance(value, ast.FormattedValue):
                    inner.update(ast.walk(value.format_spec) if value.format_spec else ())
                    inner.update(_inlined(value.value))
        elif isinstance(node, ast.keyword) and node.arg == "description":
            inner.update(ast.walk(node.value))  # of the JSON Schema, for editors
        elif _is_count(node):
            inner.update(node.args[1:])  # type: ignore[attr-defined]
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and _is_command(node) and (said := node.body[0]) and _is_text(said):
            yield said.value  # type: ignore[attr-defined]
        if node in inner:
            continue
        if isinstance(node, ast.JoinedStr) or _is_count(node):
            yield node  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_command(node: ast.FunctionDef) -> bool:
    return any(".command(" in ast.unparse(one) for one in node.decorator_list) or node.name == "report"


def _is_count(node: ast.AST) -> bool:
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "count"
    return named and all(isinstance(one, ast.Constant) for one in node.args[1:])  # type: ignore[attr-defined]


def _inlined(node: ast.expr) -> list[ast.AST]:
    """Return the parts of a value that its template says already."""
    if _is_count(node):
        return [node, *node.args[1:]]  # type: ignore[attr-defined]
    return [node.body, node.orelse] if _choice(node) else []  # type: ignore[attr-defined]


def _choice(node: ast.expr) -> tuple[str, str] | None:
    if not isinstance(node, ast.IfExp):
        return None
    both = node.body, node.orelse
    if not all(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in both):
        return None
    return both[0].value, both[1].value  # type: ignore[attr-defined]


def _templates(node: ast.expr) -> list[str]:
    """Write a text as templates: one for each of its choices between words."""
    if isinstance(node, ast.Constant):
        return [_constant(str(node.value))]
    if not isinstance(node, ast.JoinedStr):
        return [_counted(node)]
    parts: list[tuple[str, ...]] = []
    names: set[str] = set()
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts.append((str(value.value).replace("{", "{{").replace("}", "}}"),))
        elif isinstance(value, ast.FormattedValue):
            parts.append(_value(value, names))
    return ["".join(one) for one in itertools.product(*parts)]


def _constant(text: str) -> str:
    """Write a plain text as a template: one with `{name}` is filled by `format`, all other braces are meant."""
    if logged := _LOGGED.fullmatch(text):  # its name is left out where a note is shown
        numbers = itertools.count(1)
        return re.sub("%[-.0-9]*[a-z]", lambda _: f"{{x{next(numbers)}}}", logged[1])
    if not _FILLED.search(text):
        return text.replace("{", "{{").replace("}", "}}")
    numbers = itertools.count(1)
    return _FILLED.sub(lambda found: f"{{{found[1] or f'x{next(numbers)}'}}}", text)


def _value(value: ast.FormattedValue, names: set[str]) -> tuple[str, ...]:
    if _is_count(value.value):
        return (_counted(value.value, names),)
    if both := _choice(value.value):
        agree = both in _AGREE or both[::-1] in _AGREE
        return (f"[{both[0]}|{both[1]}]",) if agree else both
    spec = ast.unparse(value.format_spec)[2:-1] if value.format_spec else ""
    kind = ":#" if spec and _NUMBER.fullmatch(spec) else ":&" if _is_list(value.value) else ""
    if value.conversion == ord("r"):
        kind = ":q"
    return (f"{{{_name(value.value, names)}{kind}}}",)


def _is_list(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")) in _LISTS


def _counted(node: ast.expr, names: set[str] | None = None) -> str:
    number, *words = node.args  # type: ignore[attr-defined]
    one, many = (words[0].value, words[1].value if len(words) > 1 else f"{words[0].value}s") if words else ("", "")
    return f"{{{_name(number, set() if names is None else names)}:#}} [{one}|{many}]"


def _name(node: ast.expr, names: set[str]) -> str:
    """Name a value after the last word of its expression, each name once."""
    words = re.findall(r"[A-Za-z_][A-Za-z_0-9]*", re.sub(r"'[^']*'", "", ast.unparse(node)))
    words = [word.strip("_").lower() for word in words if word not in ("len", "str", "listed", "join", "self", "or")]
    base = words[-1] if words and words[-1] else "x"
    name = next(one for one in [base, *(f"{base}{n}" for n in range(2, 20))] if one not in names)
    names.add(name)
    return name

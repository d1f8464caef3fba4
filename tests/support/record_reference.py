"""The reference of what a run writes, from its types: `python -m tests.support.record_reference > docs/records.md`.

A field's sentence is the comment behind it in the code, or above it.
"""

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
import types
import typing
from decimal import Decimal
from typing import Any

import msgspec

from pipeline.endpoints.details import PatentDetail
from pipeline.models import Problem
from pipeline.results.image import ImagePart
from pipeline.results.late_details import LateLine
from pipeline.results.record import Record
from pipeline.results.record_parts import PagePart
from pipeline.results.summary import Patents, RunSummary, Said, Spent

HEAD = """# Records and summary: what a run writes

Made from the types (`python -m tests.support.record_reference > docs/records.md`). In schema 1 fields are only added:
pass over those that you do not know. Fields that say nothing are left out. Times are ISO 8601 in UTC; texts are UTF-8.
From Python, `read_records` gives the same as typed values.

| file | a line, or the file, is |
|---|---|
| `results.jsonl` | a [record](#record) of a settled item: appended, never rewritten |
| `open.jsonl` | a record of an open item, with `error` and `todo`; written anew at each end of a run |
| `reports.jsonl` | with `task.report: later`, the record of `results.jsonl` once more, with its report |
| `details.jsonl` | [details](#late-details) that came after their record was written; the last line of an item counts |
| `summary.json` | the [summary](#summary) of the run |

`status` is `reported`, `tasked`, `no_hits` or `searched` in results.jsonl; `failed`, `in_doubt`, `expired`,
`report_pending`, `report_failed` or `report_lost` in open.jsonl. `hits` are the vendor's own objects, byte for byte,
with every field that it sent: `patent_id`, `patent_pn`, `title`, `score` (0 to 1) and `url` (a picture; the link works
for 9 hours) among them.
"""

# Types whose names say little to a reader of JSON; all others are called as in the code, without `Part`.
_TITLES: dict[type, str] = {
    ImagePart: "Picture",
    PagePart: "Page of a search",
    Problem: "Error",
    PatentDetail: "Details of a patent",
    LateLine: "Late details",
    RunSummary: "Summary",
    Spent: "Calls of one kind",
    Said: "Answers that say what was billed",
    Patents: "Patents asked for",
}
ROOTS = (Record, LateLine, RunSummary)
_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true`, `false`",
    Decimal: "decimal, as text",
    object: "any",
    type(None): "`null`",
    msgspec.Raw: "the vendor's JSON",
    Any: "any",
}


def reference() -> str:
    """Write the document."""
    return HEAD + "".join(_section(kind) for kind in kinds())


def kinds() -> list[type]:
    """Return the types of what is written, each behind the one that names it first."""
    found: list[type] = []
    for root in ROOTS:
        _gather(root, found)
    return found


def _gather(kind: Any, found: list[type]) -> None:
    for one in typing.get_args(kind) or (kind,):
        if one is not kind:
            _gather(one, found)
        elif _has_fields(one) and one not in found:
            found.append(one)
            hints = typing.get_type_hints(one)
            for name in one.__annotations__:
                _gather(hints[name], found)


def _has_fields(kind: Any) -> bool:
    return isinstance(kind, type) and (issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind))


def _title(kind: type) -> str:
    return _TITLES.get(kind) or kind.__name__.removesuffix("Part")


def _section(kind: type) -> str:
    hints, said = typing.get_type_hints(kind), comments(kind)
    rows = [f"| `{name}` | {_type(hints[name])} | {_cell(said.get(name, ''))} |" for name in kind.__annotations__]
    first = _cell((inspect.getdoc(kind) or "").split("\n\n")[0])
    return "\n".join([f"\n## {_title(kind)}\n", f"{first}\n", "| field | value | |", "|---|---|---|", *rows, ""])


def _type(hint: Any) -> str:
    if _has_fields(hint):
        title = _title(hint).lower()
        return f"[{title}](#{title.replace(' ', '-')})"
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(dict.fromkeys(_type(one) for one in inner))
    if origin in (list, tuple):
        return f"a list of: {_type(inner[0])}"
    if origin is dict:
        return f"by key: {_type(inner[1])}"
    return _WORDS[hint]


def comments(kind: type) -> dict[str, str]:
    """Return the comment of each field of a class: the one behind it, else the ones just above."""
    source = textwrap.dedent(inspect.getsource(kind))
    lines, [made] = source.splitlines(), ast.parse(source).body
    assert isinstance(made, ast.ClassDef)
    fields = [node for node in made.body if isinstance(node, ast.AnnAssign)]
    return {str(ast.unparse(node.target)): _comment(lines, node) for node in fields}


def _comment(lines: list[str], node: ast.AnnAssign) -> str:
    behind = lines[(node.end_lineno or node.lineno) - 1][node.end_col_offset :].strip()
    if behind.startswith("#"):
        return behind.lstrip("# ")
    above: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.strip().startswith("#"):
            break
        above.insert(0, line.strip().lstrip("# "))
    return " ".join(above)


def _cell(text: str) -> str:
    """Return a text as a cell of a table; `None`, `True` and `False` are called as JSON calls them."""
    one = " ".join(text.split()).replace("|", "\\|")
    return re.sub(r"\b(None|True|False)\b", lambda word: {"None": "null"}.get(word[1], word[1].lower()), one)


if __name__ == "__main__":
    sys.stdout.write(reference())

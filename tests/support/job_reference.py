"""The reference of a job's keys, made from its schema: `python -m tests.support.job_reference > docs/job.md`."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from pipeline.job.schema import json_schema

HEAD = """# The keys of a job file

Made from the schema (`python -m tests.support.job_reference > docs/job.md`); `pipeline schema` prints it for editors. A
key without a default must be there; `-` is none. What may stand under `images`: [portfolios.md](portfolios.md).

| key | value | default | |
|---|---|---|---|
"""
_LONGEST = 90


def reference() -> str:
    """Write the document."""
    schema = json_schema()
    rows: dict[str, list[list[str]]] = {}  # by the key: one of several kinds of a section may have it, or all
    for key, *cells in _keys(schema, schema["$defs"], ""):
        known = rows.setdefault(key, [[], [], []])
        for values, cell in zip(known, cells, strict=True):
            if cell and cell not in values:
                values.append(cell)
    return HEAD + "".join(
        f"| `{key}` | {_each_once(kinds)} | {_first(defaults)} | {_first(said)} |\n"
        for key, (kinds, defaults, said) in rows.items()
    )


def _each_once(kinds: list[str]) -> str:
    """Join kinds, each word of their lists once."""
    return ", ".join(dict.fromkeys(word for kind in kinds for word in kind.split(", ")))


def _first(values: list[str]) -> str:
    return values[0] if values else ""


def _keys(part: dict[str, Any], parts: dict[str, Any], path: str) -> Iterator[tuple[str, str, str, str]]:
    for name, value in part.get("properties", {}).items():
        key = f"{path}{name}"
        branches = [_resolved(branch, parts) for branch in value.get("anyOf", value.get("oneOf", [value]))]
        inner = [branch for one in branches for branch in _objects(one, parts)]
        said = value.get("description") or " ".join(one.get("description", "") for one in inner[:1])
        kinds = " or ".join(dict.fromkeys(filter(None, (_kind(branch, parts) for branch in branches))))
        default = "" if name in part.get("required", ()) else _default(value)
        yield key, _cell(kinds), _cell(default), _cell(said)
        mark = "[]" if any(branch.get("type") == "array" for branch in branches) else ""
        for branch in inner:
            yield from _keys(branch, parts, f"{key}{mark}.")


def _resolved(part: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref", "")
    return part | parts[reference.rsplit("/", 1)[-1]] if reference else part


def _objects(part: dict[str, Any], parts: dict[str, Any]) -> list[dict[str, Any]]:
    items = _resolved(part["items"], parts) if isinstance(part.get("items"), dict) else part
    found = [_resolved(branch, parts) for branch in items.get("anyOf", items.get("oneOf", [items]))]
    return [one for one in found if "properties" in one]


def _kind(part: dict[str, Any], parts: dict[str, Any]) -> str:
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        return ", ".join(f"`{word}`" for word in part["enum"])
    match part.get("type"):
        case "array":
            inner = _resolved(part.get("items", {}), parts)
            return "a list" if "properties" in inner or not inner else f"a list of {_kind(inner, parts) or 'values'}"
        case "object":
            return "" if "properties" in part else "a mapping"
        case "string":
            return "text"
        case "boolean":
            return "`true`, `false`"
        case "integer" | "number":
            bounds = [part.get("minimum"), part.get("maximum")]
            kind = "whole number" if part["type"] == "integer" else "number"
            return kind + (f" {bounds[0]} to {bounds[1]}" if None not in bounds else "")
    return ""


def _default(value: dict[str, Any]) -> str:
    if "default" not in value or value["default"] is None or isinstance(value["default"], dict | list):
        return "-"
    return f"`{json.dumps(value['default'], ensure_ascii=False)}`"


def _cell(text: str) -> str:
    one = " ".join(text.split()).replace("|", "\\|")
    return one if len(one) <= 4 * _LONGEST else f"{one[: 4 * _LONGEST]}..."


if __name__ == "__main__":
    sys.stdout.write(reference())

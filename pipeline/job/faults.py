"""Pydantic's errors about a job in words: which field, what is wrong with it, what is allowed."""

import difflib
import json
import re
import shlex
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.endpoints.patsnap.ai39_submit import NAME
from pipeline.endpoints.patsnap.endpoints import SEARCHES, name_of, searches_taking
from pipeline.job.checks import MANIFEST_ENDINGS
from pipeline.job.document import Document, Fault, FieldPath, Mark, kind_in_yaml
from pipeline.job.method import SUBMIT
from pipeline.job.schema import json_schema
from pipeline.system.wording import enumerated

_NAMED = r"[a-z_]+(?:\.[a-z0-9_]+)+"  # a field that a message of ours begins with, such as `search.filters.field`
_A_NUMBER = "must be a valid number"
_LONGEST_VALUE = 60  # characters of a value that a message shows


def explain_refusal(document: Document, refusal: ValidationError) -> list[Fault]:
    """Put into words why a document was refused: one fault for each field, with its place in the text."""
    by_field: dict[FieldPath, list[ErrorDetails]] = {}
    for error in refusal.errors(include_url=False):
        by_field.setdefault(_field_of(document.data, error), []).append(error)
    return [_fault(document, field, errors) for field, errors in by_field.items()]


def name_field(field: FieldPath) -> str:
    """Write a field as people do: `images[0].url`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{make_printable(part)}" for part in field).lstrip(".")


def make_printable(text: str) -> str:
    """Return `text` itself, or its escaped form where a terminal could take it for more than text."""
    return text if text.isprintable() else repr(text)


def _field_of(data: Any, error: ErrorDetails) -> FieldPath:
    """Find the field of the file that an error is about.

    1. Our own checks of several fields name theirs at the start of the message.
    2. Otherwise it is Pydantic's location without the names of union branches, which no file contains.
    """
    named = re.match(rf"Value error, ({_NAMED}): ", error["msg"])
    if error["type"] == "value_error" and named:
        return tuple(named[1].split("."))
    kept: list[str | int] = []
    value = data
    for index, part in enumerate(error["loc"]):
        last = index == len(error["loc"]) - 1
        if isinstance(value, dict) and (part in value or (last and error["type"] == "missing")):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        kept.append(part)
    return tuple(kept)


def _fault(document: Document, field: FieldPath, errors: list[ErrorDetails]) -> Fault:
    """Join the errors about one field; several are the branches of a union, of which one would be enough."""
    texts = _joined([_explain(document, field, error) for error in errors])
    if not field:
        return Fault(_mark_of(document, field), texts)
    fix = next(filter(None, (_fix(document, field, error) for error in errors)), "")
    if _is_overridden(document, field):
        around = name_field(field[:-1])
        written = f"{around}{'.' if around else ''}{fix.replace(': ', '=', 1)}"
        fix = f"--set {shlex.quote(written)}" if fix else ""
        return Fault(None, f"--set {name_field(field)}: {texts}", fix)
    return Fault(_mark_of(document, field), f"{name_field(field)}: {texts}", fix)


def _joined(texts: list[str]) -> str:
    """Join what each branch of a union says about one value: the value once, and a whole number is a number, too."""
    value = texts[0].rpartition(": must be ")[0]
    wanted = [text.removeprefix(f"{value}: ") if value else text for text in dict.fromkeys(texts)]
    if _A_NUMBER in wanted:
        wanted = [text for text in wanted if text != "must be a whole number"]
    said = ", or ".join(text.replace(_A_NUMBER, "must be a number") for text in wanted)
    return f"{value}: {said}" if value else said


def _fix(document: Document, field: FieldPath, error: ErrorDetails) -> str:
    """Return what to write instead, where only one thing can be meant; "" elsewhere."""
    kind, value = error["type"], error["input"]
    written = make_printable(document.written.get(field, ""))
    if kind == "extra_forbidden" and (meant := _meant_key(field)) and field in document.written:
        return f"{meant}: {json.dumps(value, ensure_ascii=False) if isinstance(value, str) else written}"
    if kind == "literal_error" and isinstance(value, str):
        meant = _closest(value, re.findall(r"'([^']*)'", str(error.get("ctx", {})["expected"])))
        return f"{field[-1]}: {meant}" if meant else ""
    if kind == "string_type" and written and isinstance(field[-1], str):
        return f'{field[-1]}: "{_as_date(field, written) or written}"'
    if kind in ("int_type", "float_type") and isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return f"{field[-1]}: {value}"  # a number in quotes
    if kind in ("model_type", "model_attributes_type") and field[:1] == ("images",) and isinstance(value, str):
        return _entry_for(value)
    return ""


def _is_overridden(document: Document, field: FieldPath) -> bool:
    """Return whether a field's value comes from `--set`: its own, one around it, or one inside it."""
    return any(
        field[: len(override)] == override or (field not in document.marks and override[: len(field)] == field)
        for override in document.overridden
    )


def _mark_of(document: Document, field: FieldPath) -> Mark | None:
    """Find the place of a field, or of the innermost mapping around it that the text has."""
    around = (field[:end] for end in range(len(field), -1, -1))
    return next((document.marks[part] for part in around if part in document.marks), None)


def _explain(document: Document, field: FieldPath, error: ErrorDetails) -> str:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    match kind:
        case "missing":
            return "this key is required"
        case "extra_forbidden":
            return _unknown_key(document, field)
        case "string_type" if field in document.written:
            return _not_text(document, field, value)
        case "literal_error":
            allowed = re.findall(r"'([^']*)'", str(context["expected"]))
            meant = _did_you_mean(str(value), allowed)
            return f"{_shown(document, field, value)} is not allowed; allowed: {context['expected']}{meant}"
        case "union_tag_invalid":
            return _unknown_endpoint(context["tag"])
        case "string_pattern_mismatch":
            shown = _shown(document, field, value)
            if field == ("currency",):
                return f"{shown} is not allowed; allowed: text without blanks, at most 12 characters"
            return f"{shown} is not allowed; allowed: small letters a-z, digits and -, 1 to 64 characters"
        case "model_type" | "model_attributes_type" if field[:1] == ("images",) and isinstance(value, str):
            return f"write what it is: `{_entry_for(value)}`"
        case "value_error":
            return re.sub(rf"^{_NAMED}: ", "", error["msg"].removeprefix("Value error, "))
        case _:
            return f"{_shown(document, field, value)}: {_in_words(error['msg'])}"


def _entry_for(value: str) -> str:
    key = "url" if "://" in value else "manifest" if value.lower().endswith(MANIFEST_ENDINGS) else "path"
    return f"- {key}: {make_printable(value[:_LONGEST_VALUE])}"


def _not_text(document: Document, field: FieldPath, value: Any) -> str:
    written = make_printable(document.written[field])
    if date := _as_date(field, written):
        return f'write a date as "yyyyMMdd": "{date}"'
    return f'YAML reads {written} as {kind_in_yaml(value)}; put it in quotes: "{written}"'


def _as_date(field: FieldPath, written: str) -> str:
    dated = re.fullmatch(r"\d{4}-\d{2}-\d{2}", written) and str(field[-1]).endswith("_time")
    return written.replace("-", "") if dated else ""


def _in_words(message: str) -> str:
    """Translate Pydantic's message into the words of a person who writes YAML."""
    message = message.replace("Input should be", "must be")
    if message.startswith("List should have at least 1 item"):
        return "at least one entry is needed"
    message = re.sub(r"valid dictionary( or instance of \w+)?", "mapping (key: value)", message)
    message = message.replace("a valid integer", "a whole number").replace(
        "a valid list", "a list (- one entry a line)"
    )
    return message.replace("a valid boolean", "true or false").replace("a valid string", "text")


def _shown(document: Document, field: FieldPath, value: Any) -> str:
    """Show a value as it was written; of a mapping or list only its kind, since it may hold secrets."""
    if value is None or isinstance(value, dict | list):
        return kind_in_yaml(value)
    text = f"{value!r}" if isinstance(value, str) else document.written.get(field, str(value))
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _unknown_endpoint(name: str) -> str:
    return f"endpoint {name!r} is not allowed; allowed: {', '.join(map(name_of, SEARCHES))}"


def _unknown_key(document: Document, field: FieldPath) -> str:
    key = str(field[-1])
    if field[0] == "search" and (owners := searches_taking(key)):
        default = NAME if document.data.get("method") == SUBMIT else name_of(SEARCHES[0])
        here = document.data["search"].get("endpoint", default)
        if here not in owners:
            return f"{key} belongs to endpoint {enumerated(owners)}; {here} does not take it"
    allowed = _allowed_beside(field)
    return f"unknown key{_did_you_mean(key, allowed) or '; allowed: ' + ', '.join(allowed)}"


def _allowed_beside(field: FieldPath) -> list[str]:
    around = tuple(0 if isinstance(part, int) else part for part in field[:-1])  # all entries of a list are alike
    return [known for known in _keys_at(around) if known != str(field[-1])]


def _meant_key(field: FieldPath) -> str:
    key = str(field[-1])
    return "" if field[0] == "search" and searches_taking(key) else _closest(key, _allowed_beside(field))


def _did_you_mean(word: str, allowed: list[str]) -> str:
    meant = _closest(word, allowed)
    return f"; did you mean {meant!r}?" if meant else ""


def _closest(word: str, allowed: list[str]) -> str:
    as_written = {known.lower(): known for known in allowed}
    close = difflib.get_close_matches(word.lower(), as_written, n=1, cutoff=0.6)
    return as_written[close[0]] if close else ""


@lru_cache(maxsize=100)
def _keys_at(field: FieldPath) -> list[str]:
    """List the keys that the mapping at `field` may have in any branch of a union, from the JSON Schema."""
    schema = json_schema()
    nodes = [schema]
    for part in field:
        nodes = [found for node in _branches(nodes, schema) if (found := _child(node, part)) is not None]
    return sorted({key for node in _branches(nodes, schema) for key in node.get("properties", {})})


def _child(node: dict[str, Any], part: str | int) -> dict[str, Any] | None:
    if isinstance(part, int):
        found = node.get("items")
    else:
        found = node.get("properties", {}).get(part, node.get("additionalProperties"))
    return found if isinstance(found, dict) else None


def _branches(nodes: list[dict[str, Any]], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Replace references by what they name and unions by their branches."""
    plain: list[dict[str, Any]] = []
    for node in nodes:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        inner = [*node.get("anyOf", []), *node.get("oneOf", [])]
        plain += _branches(inner, schema) if inner else [node]
    return plain

"""YAML text to plain data, with the place of every key and value. Dangerous text is refused before it is composed.

The parser's events are read first, since composing is where it hurts: very deep nesting crashes libyaml and with it the
process, and aliases or merge keys make gigabytes of a few hundred bytes. Only a text that passes is composed.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import yaml

from pipeline.job.slips import blank_in_front, explain_slip

MAX_BYTES = 1 << 20
MAX_NODES = 100_000
MAX_DEPTH = 20
# Numbers as people write them. YAML 1.1 also reads 010 as 8, 1:30 as 90 and .nan as a number: those are refused.
_PLAIN_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9_]*|[0-9]*\.[0-9]+|[0-9]+\.)([eE][-+]?[0-9]+)?")
FieldPath = tuple[str | int, ...]


class Mark(NamedTuple):
    """A place in the text, counted from 1."""

    line: int
    column: int


class Fault(NamedTuple):
    """One fault of a job.

    place: where it is in the text; None when it is in the text as a whole, or not in the text at all
    text: what is wrong and what is allowed, in one line
    fix: what to write at that place instead; "" where only a person can know
    """

    place: Mark | None
    text: str
    fix: str = ""


@dataclass
class Document:
    """Parsed YAML.

    data: plain dicts, lists and scalars; None when there is no data or the text was refused
    marks: the place of every key and value
    written: every scalar as it stands in the text
    faults: everything that is wrong
    overridden: the fields whose values come from the command line instead
    """

    data: Any = None
    marks: dict[FieldPath, Mark] = field(default_factory=dict)
    written: dict[FieldPath, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    overridden: list[FieldPath] = field(default_factory=list)


def parse(raw: bytes) -> Document:
    """Parse one YAML document. Nothing is raised for a bad text: its faults are in the result."""
    document = Document()
    if len(raw) > MAX_BYTES:
        document.faults.append(Fault(None, "the file is larger than 1 MiB; put long lists into a manifest"))
        return document
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        document.faults.append(Fault(Mark(line, 1), "this is not UTF-8 text; save the file as UTF-8"))
        return document
    try:
        document.faults.extend(_dangers(text))
        if not document.faults:
            node = yaml.compose(text, Loader=yaml.CSafeLoader)
            if node is not None:
                document.data = _build(document, node, ())
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = _mark(mark) if mark else None
        reason = str(exc.problem or exc.context)
        slip = explain_slip(reason, text, *place) if place else reason
        document.faults.append(Fault(place, f"this is not YAML: {slip}"))
    except yaml.YAMLError as exc:
        document.faults.append(Fault(None, f"this is not YAML: {str(exc).splitlines()[0]}"))
    return document


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _dangers(text: str) -> list[Fault]:
    """Find the first thing in a text that must not be composed; [] when there is none."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        place = _mark(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return [Fault(place, "aliases (*name) are refused; write the value out")]
        if getattr(event, "anchor", None) is not None:
            return [Fault(place, "anchors (&name) are refused; write the value out")]
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return [Fault(place, f"nested deeper than {MAX_DEPTH} levels")]
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
            return [Fault(place, "merges (<<) are refused; write the keys out")]
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
            if nodes > MAX_NODES:
                return [Fault(place, f"more than {MAX_NODES:,} values; put long lists into a manifest")]
    return []


def _build(document: Document, node: yaml.Node, path: FieldPath) -> Any:
    document.marks.setdefault(path, _mark(node.start_mark))
    if isinstance(node, yaml.CollectionNode) and node.tag not in _PLAIN_COLLECTIONS:
        document.faults.append(Fault(document.marks[path], f"the tag {node.tag} is refused; leave it out"))
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(document, node, path)
    if isinstance(node, yaml.SequenceNode):
        return [_build(document, child, (*path, index)) for index, child in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    document.written[path] = node.value
    if "\0" in node.value:
        document.faults.append(Fault(document.marks[path], "a NUL character, which no name holds; take it out"))
        return None
    return _scalar(document, node, path)


def _build_mapping(document: Document, node: yaml.MappingNode, path: FieldPath) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = _mark(key_node.start_mark)
        if not isinstance(key_node, yaml.ScalarNode):
            document.faults.append(Fault(place, "a key is plain text"))
            continue
        key = key_node.value
        if key in built:
            document.faults.append(Fault(place, f"the key {key!r} is here twice; keep one"))
            continue
        if blank := blank_in_front(key):
            document.faults.append(Fault(place, blank))
            continue
        document.marks[(*path, key)] = place
        built[key] = _build(document, value_node, (*path, key))
    return built


_PLAIN_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_CONSTRUCTORS = {
    "tag:yaml.org,2002:null": yaml.constructor.SafeConstructor.construct_yaml_null,
    "tag:yaml.org,2002:bool": yaml.constructor.SafeConstructor.construct_yaml_bool,
    "tag:yaml.org,2002:int": yaml.constructor.SafeConstructor.construct_yaml_int,
    "tag:yaml.org,2002:float": yaml.constructor.SafeConstructor.construct_yaml_float,
    "tag:yaml.org,2002:str": yaml.constructor.SafeConstructor.construct_yaml_str,
}


def _scalar(document: Document, node: yaml.ScalarNode, path: FieldPath) -> Any:
    construct = _CONSTRUCTORS.get(node.tag)
    if construct is not None:
        try:
            value = construct(yaml.constructor.SafeConstructor(), node)
        except (LookupError, ValueError, OverflowError):  # only a tag that was written out can do this: `!!int ""`
            document.faults.append(Fault(document.marks[path], f"{node.value[:60]!r} cannot be read as a value"))
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or _PLAIN_NUMBER.fullmatch(node.value):
            return value
        return 0j  # no field takes a complex number, so the type check refuses it and shows the text as it was written
    if node.tag == "tag:yaml.org,2002:timestamp":
        return date.min  # likewise: no field takes a date
    document.faults.append(Fault(document.marks[path], f"the tag {node.tag} is refused; write plain text, quoted"))
    return None


def kind_in_yaml(value: Any) -> str:
    """Name, for people, the kind of value that YAML made of a text."""
    numbers = dict.fromkeys((int, float, complex), "a number")
    names = {bool: "yes/no", date: "a date", dict: "a mapping", list: "a list", **numbers}
    return "nothing" if value is None else names.get(type(value), "text")

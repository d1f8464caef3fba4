"""Job file to `JobSpec`: every fault at once, each as `file:line:column: field: what is wrong; what is allowed`."""

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from pipeline.endpoints.parameters import P009Filters, P060Filters
from pipeline.errors import SpecError
from pipeline.job.checks import check_picture_url
from pipeline.job.document import MAX_BYTES, Document, Fault, kind_in_yaml, parse
from pipeline.job.schema import MAX_INLINE, JobSpec

Loc = tuple[str | int, ...]
_SECRET_KEY = re.compile(r"secret|passw|token|api[_-]?key|client[_-]?id|credential|authorization", re.IGNORECASE)
_CREDENTIAL_HINT = (
    "secrets do not belong in a job file; set PATSNAP_CLIENT_ID and PATSNAP_CLIENT_SECRET, or PATSNAP_API_KEY, "
    "in the environment or in an .env file beside the job file"
)
_LONGEST = 800  # of a line about a fault: what was written may be a megabyte
_PATH_KEYS = ("output.dir", "root", "api.ca_file")
_ONLY_P060 = {"model", "patent_type", *(set(P060Filters.model_fields) - set(P009Filters.model_fields))}
_NAMED = r"[a-z_]+(?:\.[a-z0-9_]+)+"  # a field that a message begins with
_WHOLE = TypeAdapter(JobSpec)


def load_job(
    path: Path, *, overrides: Sequence[str] = (), secrets: Iterable[str] = (), proxy: str | None = None
) -> JobSpec:
    """Read the job file at `path`; `overrides` are `a.b=c` texts, `secrets` values that must not stand in the file.

    `proxy` counts where the file names none.

    Raises SpecError with one line per fault. Relative paths in an override start at the current folder.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        hint = "; give the path of a job file (see configs/ for examples)" if isinstance(exc, FileNotFoundError) else ""
        raise SpecError(f"{path}: cannot read the job file: {exc.strerror}{hint}") from None
    document = parse(raw)
    secrets = [secret for secret in secrets if len(secret) >= 8]
    faults = list(document.faults)
    spec: JobSpec | None = None
    if isinstance(document.data, dict):
        faults += _secret_faults(document, raw, secrets)
        faults += [Fault(None, text) for text in _override(document, overrides)]
        faults += _take_proxy(document.data, proxy)
        spec, more = _validate(document)
        known = {fault.place for fault in faults if fault.place}
        faults += [fault for fault in more if fault.place not in known]
    elif not faults:
        faults.append(Fault(None, "a job file is a mapping: it starts with `version: 1`, `name:` and `images:`"))
    if faults or spec is None:
        ordered = sorted(faults, key=lambda fault: fault.place or (0, 0))
        raise SpecError(*(_masked(_line(path, fault), secrets) for fault in ordered))
    return spec.with_folder(path.resolve().parent)


def _take_proxy(data: dict[str, Any], proxy: str | None) -> list[Fault]:
    """Let the environment's proxy count where the file names none."""
    api = data.setdefault("api", {}) if proxy else None
    if proxy is None or not isinstance(api, dict) or "proxy" in api:
        return []
    try:
        api["proxy"] = check_picture_url(proxy)
    except ValueError as exc:
        return [Fault(None, f"PATSNAP_PROXY, in the environment or .env: {exc}")]
    return []


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a job file."""
    return _WHOLE.json_schema()


def _line(path: Path, fault: Fault) -> str:
    place = f":{fault.place.line}:{fault.place.column}" if fault.place else ""
    text = fault.text if len(fault.text) <= _LONGEST else f"{fault.text[:_LONGEST]}..."
    return f"{path}{place}: {text}"


def _masked(line: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, "***")
    return line


def _secret_faults(document: Document, raw: bytes, secrets: Sequence[str]) -> list[Fault]:
    labels = ("labels", "columns")
    faults = [
        Fault(mark, f"{_dotted(loc)}: {_CREDENTIAL_HINT}")
        for loc, mark in document.marks.items()
        if loc and isinstance(loc[-1], str) and _SECRET_KEY.search(loc[-1]) and not set(labels) & set(loc[:-1])
    ]
    text = raw.decode("utf-8-sig")
    texts = (text, *document.written.values(), *(str(loc[-1]) for loc in document.marks if loc))  # also unescaped
    if any(secret in known for secret in secrets for known in texts):
        faults.append(Fault(None, f"the value of a credential stands in this file: {_CREDENTIAL_HINT}"))
    return faults


def _override(document: Document, overrides: Sequence[str]) -> list[str]:
    faults = []
    for text in overrides:
        dotted, equals, written = (part.strip() for part in text.partition("="))
        loc = tuple(dotted.split("."))
        if not equals or not all(loc) or _SECRET_KEY.search(dotted):
            hint = "write it as --set api.qps=10 (a key of the job file, never a secret)"
            faults.append(f"--set {_printable(dotted)}: {hint}")
            continue
        value = parse(written.encode("utf-8", "replace"))
        if value.faults:
            faults.extend(f"--set {dotted}: {fault.text}; put text in quotes" for fault in value.faults)
            continue
        inner = document.data
        for part in loc[:-1]:
            inner = inner.setdefault(part, {}) if isinstance(inner, dict) else None
        if not isinstance(inner, dict):
            faults.append(f"--set {dotted}: only keys of mappings can be set")
            continue
        inner[loc[-1]] = value.data
        if dotted in _PATH_KEYS and not (value.data is None or isinstance(value.data, dict | list)):
            inner[loc[-1]] = str(Path(value.data if isinstance(value.data, str) else written).resolve())
        document.marks = {known: mark for known, mark in document.marks.items() if known[: len(loc)] != loc}
        document.written[loc] = written
        document.overridden.append(loc)
    return faults


def _validate(document: Document) -> tuple[JobSpec | None, list[Fault]]:
    images = document.data.get("images")
    if isinstance(images, list) and len(images) > MAX_INLINE:
        text = (
            f"images: {len(images):,} entries; at most {MAX_INLINE:,} here, put more into a manifest (.csv or .jsonl)"
        )
        return None, [Fault(document.marks.get(("images",)), text)]
    try:
        return JobSpec.model_validate(document.data), []
    except ValidationError as exc:
        by_field: dict[Loc, list[ErrorDetails]] = {}
        for error in exc.errors(include_url=False):
            by_field.setdefault(_field(document.data, error), []).append(error)
        return None, [_fault(document, loc, errors) for loc, errors in by_field.items()]


def _field(data: Any, error: ErrorDetails) -> Loc:
    """The place in the file an error is about: pydantic's loc without the names of union branches."""
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


def _fault(document: Document, loc: Loc, errors: list[ErrorDetails]) -> Fault:
    texts = list(dict.fromkeys(_explain(document, loc, error) for error in errors))
    overridden = any(
        loc[: len(set_)] == set_ or (loc not in document.marks and set_[: len(loc)] == loc)
        for set_ in document.overridden
    )
    around = (loc[:end] for end in range(len(loc), -1, -1))
    mark = None if overridden else next((document.marks[part] for part in around if part in document.marks), None)
    field = _dotted(loc)
    source = "--set " if overridden else ""
    return Fault(mark, f"{source}{field}: {', or '.join(texts)}" if field else ", or ".join(texts))


def _explain(document: Document, loc: Loc, error: ErrorDetails) -> str:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    match kind:
        case "missing":
            return "this key is required"
        case "extra_forbidden":
            return _unknown_key(str(loc[-1]), [key for key in _keys_at(_pattern(loc[:-1])) if key != loc[-1]])
        case "string_type" if loc in document.written:
            written = _printable(document.written[loc])
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", written) and str(loc[-1]).endswith("_time"):
                return f'write a date as "yyyyMMdd": "{written.replace("-", "")}"'
            return f'YAML reads {written} as {kind_in_yaml(value)}; put it in quotes: "{written}"'
        case "literal_error":
            return f"{_shown(document, loc, value)} is not allowed; allowed: {context['expected']}" + _did_you_mean(
                str(value), re.findall(r"'([^']*)'", str(context["expected"]))
            )
        case "union_tag_invalid":
            return f"endpoint {context['tag']!r} is not allowed; allowed: P009, P060" + (
                " (P061 is not yet there: it comes with a later version)" if context["tag"] == "P061" else ""
            )
        case "string_pattern_mismatch":
            shown = _shown(document, loc, value)
            return f"{shown} is not allowed; allowed: small letters a-z, digits and -, 1 to 64 characters"
        case "value_error":
            return re.sub(rf"^{_NAMED}: ", "", error["msg"].removeprefix("Value error, "))
        case _:
            return f"{_shown(document, loc, value)}: {_in_words(error['msg'])}"


def _in_words(message: str) -> str:
    message = message.replace("Input should be", "must be")
    if message.startswith("List should have at least 1 item"):
        return "at least one entry is needed"
    message = re.sub(r"valid dictionary( or instance of \w+)?", "mapping (key: value)", message)
    message = message.replace("a valid integer", "a whole number").replace(
        "a valid list", "a list (- one entry a line)"
    )
    return message.replace("a valid boolean", "true or false").replace("a valid string", "text")


def _shown(document: Document, loc: Loc, value: Any) -> str:
    """A value as it was written; only the kind of a mapping or list, which may hold secrets."""
    if value is None or isinstance(value, dict | list):
        return kind_in_yaml(value)
    text = f"{value!r}" if isinstance(value, str) else document.written.get(loc, str(value))
    return text if len(text) <= 60 else text[:57] + "..."


def _dotted(loc: Loc) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_printable(part)}" for part in loc).lstrip(".")


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)


def _unknown_key(key: str, allowed: list[str]) -> str:
    if key in _ONLY_P060:
        return f"{key} belongs to endpoint P060; P009 does not take it"
    return f"unknown key{_did_you_mean(key, allowed) or '; allowed: ' + ', '.join(allowed)}"


def _did_you_mean(word: str, allowed: list[str]) -> str:
    as_written = {known.lower(): known for known in allowed}
    close = difflib.get_close_matches(word.lower(), as_written, n=1, cutoff=0.6)
    return f"; did you mean {as_written[close[0]]!r}?" if close else ""


def _pattern(loc: Loc) -> Loc:
    return tuple(0 if isinstance(part, int) else part for part in loc)


@lru_cache(maxsize=100)
def _keys_at(loc: Loc) -> list[str]:
    """The keys a mapping at `loc` may have, over all branches of unions, from the JSON Schema."""
    schema = _WHOLE.json_schema()
    nodes = [schema]
    for part in loc:
        nodes = [found for node in _branches(nodes, schema) if (found := _child(node, part)) is not None]
    return sorted({key for node in _branches(nodes, schema) for key in node.get("properties", {})})


def _child(node: dict[str, Any], part: str | int) -> dict[str, Any] | None:
    if isinstance(part, int):
        found = node.get("items")
    else:
        found = node.get("properties", {}).get(part, node.get("additionalProperties"))
    return found if isinstance(found, dict) else None


def _branches(nodes: list[dict[str, Any]], schema: dict[str, Any]) -> list[dict[str, Any]]:
    plain: list[dict[str, Any]] = []
    for node in nodes:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        inner = [*node.get("anyOf", []), *node.get("oneOf", [])]
        plain += _branches(inner, schema) if inner else [node]
    return plain

"""Job file to `JobSpec`: every fault at once, each as `file:line:column: field: what is wrong; what is allowed`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import SpecError
from pipeline.job.as_run import drop_old_keys
from pipeline.job.checks import MANIFEST_ENDINGS, check_picture_url
from pipeline.job.document import MAX_BYTES, Document, Fault, parse
from pipeline.job.environment import PROXY, Environment
from pipeline.job.faults import dotted, faults_of, printable
from pipeline.job.schema import MAX_INLINE, JobSpec

_SECRET_KEY = re.compile(r"secret|passw|token|api[_-]?key|client[_-]?id|credential|authorization", re.IGNORECASE)
_CREDENTIAL_HINT = (
    "secrets do not belong in a job file; set PATSNAP_CLIENT_ID and PATSNAP_CLIENT_SECRET, or PATSNAP_API_KEY, "
    "in the environment or in an .env file beside the job file"
)
_NOTHING_SET = Environment()
_SHORTEST_SECRET = 8  # characters; a shorter one may be any word of an ordinary file
_LONGEST = 800  # of a line about a fault: what was written may be a megabyte
_PATH_KEYS = ("output.dir", "root", "api.ca_file")


def load_job(
    path: Path, *, overrides: Sequence[str] = (), environment: Environment = _NOTHING_SET, as_run: bool = False
) -> JobSpec:
    """Read the job file at `path`, with `overrides` such as `api.qps=10` in place of what it says.

    The environment's secrets must not stand in the file, and its proxy counts where the file names none. Relative paths
    in an override start at the current folder. `as_run` says that a run wrote the file, perhaps of an earlier version.
    Raises SpecError with one line for each fault.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        hint = "; give the path of a job file (see configs/ for examples)" if isinstance(exc, FileNotFoundError) else ""
        raise SpecError(f"{path}: cannot read the job file: {exc.strerror}{hint}") from None
    document = parse(raw)
    secrets = [secret for secret in environment.secrets if len(secret) >= _SHORTEST_SECRET]
    faults = list(document.faults)
    spec: JobSpec | None = None
    if isinstance(document.data, dict):
        if as_run:
            drop_old_keys(document.data)
        faults += _secret_faults(document, raw, secrets)
        faults += [Fault(None, text) for text in _override(document, overrides)]
        faults += _take_proxy(document.data, environment.proxy)
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
        return [Fault(None, f"{PROXY}, in the environment or .env: {exc}")]
    return []


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
        Fault(mark, f"{dotted(loc)}: {_CREDENTIAL_HINT}")
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
            faults.append(f"--set {printable(dotted)}: {hint}")
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
        manifest = f"a manifest ({' or '.join(MANIFEST_ENDINGS)})"
        text = f"images: {len(images):,} entries; at most {MAX_INLINE:,} here, put more into {manifest}"
        return None, [Fault(document.marks.get(("images",)), text)]
    try:
        return JobSpec.model_validate(document.data), []
    except ValidationError as exc:
        return None, faults_of(document, exc)

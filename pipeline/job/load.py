"""Job file to `JobSpec`: every fault at once, each as `file:line:column: field: what is wrong; what is allowed`.

And back: what a run directory keeps of its job beside the results.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.endpoints.parameters import AS_RUN
from pipeline.errors import SpecError
from pipeline.job.checks import MANIFEST_ENDINGS, check_url
from pipeline.job.document import MAX_BYTES, Document, Fault, parse
from pipeline.job.environment import PROXY, Environment
from pipeline.job.faults import explain_refusal, make_printable, name_field
from pipeline.job.schema import MAX_INLINE, JobSpec
from pipeline.system.fault import Fault as ErrorLine
from pipeline.system.fault import Gathered
from pipeline.system.wording import enumerated

_SECRET_KEY = re.compile(r"secret|passw|token|api[_-]?key|client[_-]?id|credential|authorization", re.IGNORECASE)
_CREDENTIAL_HINT = (
    "secrets do not belong in a job file; set PATSNAP_CLIENT_ID and PATSNAP_CLIENT_SECRET, or PATSNAP_API_KEY, "
    "in the environment or in an .env file beside the job file"
)
_NOTHING_SET = Environment()
_SHORTEST_SECRET = 8  # characters; a shorter one may be any word of an ordinary file
_FREE_NAMES = {"labels", "columns"}  # below them keys are the user's own words
_LONGEST = 800  # characters of a line about a fault: a value may be a megabyte
_RUN_WROTE = Path("spec.yaml")  # the name of such a file in its faults
_PATH_KEYS = ("output.dir", "root", "api.ca_file", "cluster.shared")


def load_job(
    path: Path, *, overrides: Sequence[str] = (), environment: Environment = _NOTHING_SET, as_run: bool = False
) -> JobSpec:
    """Read the job file at `path`, with `overrides` such as `api.qps=10` in place of what it says.

    The environment's secrets must not stand in the file, and its proxy counts where the file names none. Relative paths
    in an override start at the current folder. `as_run` says that a run wrote the file, perhaps of an earlier version.
    Raises SpecError with one line for each fault.
    """
    raw = _read(path)
    return _job(raw, path, overrides, environment, as_run=as_run).with_folder(_folder_of(path))


def load_as_run(path: Path) -> JobSpec:
    """Read the job that a run wrote, as `load_job` does; equal ones, as shards of one run have them, are read once."""
    return _job_as_run(_read(path)).with_folder(_folder_of(path))


@lru_cache(maxsize=8)
def _job_as_run(raw: bytes) -> JobSpec:
    return _job(raw, _RUN_WROTE, (), _NOTHING_SET, as_run=True)


def _job(raw: bytes, path: Path, overrides: Sequence[str], environment: Environment, *, as_run: bool) -> JobSpec:
    document = parse(raw)
    secrets = [secret for secret in environment.secrets if len(secret) >= _SHORTEST_SECRET]
    faults = list(document.faults)
    spec: JobSpec | None = None
    if isinstance(document.data, dict):
        faults += _secret_faults(document, raw, secrets)
        faults += [Fault(None, text) for override in overrides for text in _override(document, override)]
        faults += _take_proxy(document.data, environment.proxy)
        spec, more = _validate(document, as_run=as_run)
        known = {fault.place for fault in faults if fault.place}
        faults += [fault for fault in more if fault.place not in known]
    elif not faults:
        faults.append(Fault(None, "a job file is a mapping: it starts with `version: 1`, `name:` and `images:`"))
    if faults or spec is None:
        ordered = sorted(faults, key=lambda fault: fault.place or (0, 0))
        gathered = Gathered()
        for fault in ordered:
            gathered.add(_line_of(path, fault, secrets))
        raise SpecError(*gathered.lines(len(ordered)))
    return spec


def write_as_run(spec: JobSpec) -> tuple[bytes, str]:
    """Write the job with every default and `--set` written out; return it with the SHA-256 of these bytes."""
    plain = spec.model_dump(mode="json", exclude_none=True)
    body = yaml.dump(plain, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False, width=110)
    folder = json.dumps(spec.folder.name)
    raw = f"# As run, every default written out. Relative paths start at the job's folder, {folder}.\n{body}".encode()
    return raw, hashlib.sha256(raw).hexdigest()


def _folder_of(path: Path) -> Path:
    """Return the folder of a job file. Raises SpecError where its name cannot be written down."""
    folder = path.resolve().parent
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        what = "the name of this folder is no UTF-8 text; rename it, or run with LC_ALL=C.UTF-8 if it is"
        raise SpecError(ErrorLine(what, where=f"{str(folder)!a}")) from None
    return folder


def _read(path: Path) -> bytes:
    """Read a job file; of one that is too large only so much that `parse` notices."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as exc:
        hint = "; give the path of a job file (see configs/ for examples)" if isinstance(exc, FileNotFoundError) else ""
        what = f"cannot read the job file: {exc.strerror}{hint}"
        raise SpecError(ErrorLine(what, where=str(path))) from None


def _take_proxy(data: dict[str, Any], proxy: str | None) -> list[Fault]:
    """Put the environment's proxy into the job unless the file names one."""
    api = data.setdefault("api", {}) if proxy else None
    if proxy is None or not isinstance(api, dict) or "proxy" in api:
        return []
    try:
        api["proxy"] = check_url(proxy)
    except ValueError as exc:
        return [Fault(None, f"{PROXY}, in the environment or .env: {exc}")]
    return []


def _line_of(path: Path, fault: Fault, secrets: Sequence[str]) -> ErrorLine:
    place = f":{fault.place.line}:{fault.place.column}" if fault.place else ""
    text = fault.text if len(fault.text) <= _LONGEST else f"{fault.text[:_LONGEST]}..."
    where, fix = f"{path}{place}", fault.fix
    for secret in secrets:
        where, text, fix = (part.replace(secret, "***") for part in (where, text, fix))
    return ErrorLine(text, where=where, fix=fix)


def _secret_faults(document: Document, raw: bytes, secrets: Sequence[str]) -> list[Fault]:
    """Refuse keys that are called like a secret, and the value of a credential anywhere, escaped or in a comment."""
    faults = [
        Fault(mark, f"{name_field(field)}: {_CREDENTIAL_HINT}")
        for field, mark in document.marks.items()
        if field and isinstance(field[-1], str) and _SECRET_KEY.search(field[-1]) and not _FREE_NAMES & set(field[:-1])
    ]
    keys = (str(field[-1]) for field in document.marks if field)
    texts = (raw.decode("utf-8-sig"), *document.written.values(), *keys)  # the parser has undone escapes in the latter
    if any(secret in known for secret in secrets for known in texts):
        faults.append(Fault(None, f"the value of a credential stands in this file: {_CREDENTIAL_HINT}"))
    return faults


def _override(document: Document, override: str) -> list[str]:
    """Set one key of the document to a value written as YAML; return what is wrong with it, [] when it is set."""
    key, equals, written = (part.strip() for part in override.partition("="))
    field = tuple(key.split("."))
    if not equals or not all(field) or _SECRET_KEY.search(key):
        return [f"--set {make_printable(key)}: write it as --set api.qps=10 (a key of the job file, never a secret)"]
    value = parse(written.encode("utf-8", "replace"))
    if value.faults:
        return [f"--set {key}: {fault.text}; put text in quotes" for fault in value.faults]
    inner = document.data
    for part in field[:-1]:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else None
    if not isinstance(inner, dict):
        return [f"--set {key}: only keys of mappings can be set"]
    inner[field[-1]] = value.data
    if key in _PATH_KEYS and not (value.data is None or isinstance(value.data, dict | list)):
        inner[field[-1]] = str(Path(value.data if isinstance(value.data, str) else written).resolve())
    document.marks = {known: mark for known, mark in document.marks.items() if known[: len(field)] != field}
    document.written[field] = written
    document.overridden.append(field)
    return []


def _validate(document: Document, *, as_run: bool) -> tuple[JobSpec | None, list[Fault]]:
    images = document.data.get("images")
    if isinstance(images, list) and len(images) > MAX_INLINE:
        manifest = f"a manifest ({enumerated(MANIFEST_ENDINGS, 'or')})"
        text = f"images: {len(images):,} entries; at most {MAX_INLINE:,} here, put more into {manifest}"
        return None, [Fault(document.marks.get(("images",)), text)]
    try:
        return JobSpec.model_validate(document.data, context=AS_RUN if as_run else None), []
    except ValidationError as exc:
        return None, explain_refusal(document, exc)

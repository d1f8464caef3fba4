"""The beginning of a job: what lies there is understood, and the files of a new job are written beside nothing else."""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from pipeline.errors import SpecError
from pipeline.job.document import parse
from pipeline.job.environment import CREDENTIALS
from pipeline.job.schema import JobSpec, json_schema
from pipeline.offline.starting.doubts import doubts_about
from pipeline.offline.starting.draft import Draft, Options, draft_job
from pipeline.offline.starting.job_text import SCHEMA, job_text
from pipeline.offline.starting.look import Look, look_at
from pipeline.offline.starting.names import slug
from pipeline.offline.starting.source import find_source
from pipeline.results.decisions import COLUMNS, DECISIONS
from pipeline.sources.inspection import Watch
from pipeline.system.fault import Fault, typed

_EXAMPLE_ROWS = (
    "id,url,client,market\n"
    "SKU-1001,https://cdn.example.com/1001.jpg,Acme,US\n"
    "SKU-1002,https://cdn.example.com/1002.jpg,Acme,EU\n"
    "SKU-1003,https://cdn.example.com/1003.jpg,Umbra,US\n"
)
_DECISIONS = "\ufeff" + ",".join(COLUMNS) + "\n"  # the mark by which Excel knows UTF-8
_IGNORED = ".env\nruns/\n"


@dataclass(frozen=True, slots=True)
class Begun:
    """A new job before it is written: what was understood, the job and its text, and a look at what it lists."""

    draft: Draft
    spec: JobSpec
    text: str
    job: Path
    look: Look

    @property
    def doubts(self) -> list[str]:
        """The things that are probably wrong, a sentence each."""
        return [*doubts_about(self.draft), *self.look.remarks]

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The next three commands, each with what it does."""
        name = str(self.job)
        check = typed("plan", name, "--rehearse") if self.draft.local else typed("check", name)
        return [
            (check, "reads all of it and names every fault; free, sends nothing"),
            (
                typed("run", name, "--rehearse"),
                "the whole way to the page, on drawn designs; free, nothing leaves this machine",
            ),
            (typed("doctor", name), "this machine, your account, and what a real run would cost; pays nothing"),
        ]


def begin_job(path: Path | None, job: Path, options: Options, *, samples: str, watch: Watch | None = None) -> Begun:
    """Understand what lies at `path`, or in the folder of the new job file; nothing is written.

    `samples` is the folder of the shipped pictures, `watch` is told how many pictures were looked at. Raises SpecError
    where nothing can be begun from, or the job file is there already.
    """
    here = job.parent
    if job.exists() or job.is_symlink():
        raise SpecError(_there_already(path, job))
    draft = draft_job(find_source(path, here), here, options)
    spec = _spec_of(job_text(draft, job=job.name, items=0, samples=samples), here)
    look = Look() if draft.example else look_at(spec, watch)
    if look.would_help:
        draft = replace(draft, fit=True)
        spec = _spec_of(job_text(draft, job=job.name, items=0, samples=samples), here)
        look = look_at(spec, watch)
    return Begun(draft, spec, job_text(draft, job=job.name, items=look.items, samples=samples), job, look)


def _spec_of(text: str, here: Path) -> JobSpec:
    document = parse(text.encode())
    assert not document.faults, document.faults
    try:
        return JobSpec.model_validate(document.data).with_folder(here.resolve())
    except ValidationError as exc:  # a name of a client that is too long, say
        raise SpecError(*(Fault(one["msg"], where=".".join(map(str, one["loc"]))) for one in exc.errors())) from None


def _there_already(path: Path | None, job: Path) -> Fault:
    names = [
        f"{slug(path.stem)}.yaml" if path is not None and slug(path.stem) else "",
        *(f"job-{n}.yaml" for n in range(2, 99)),
    ]
    free = next((job.with_name(name) for name in names if name and not job.with_name(name).exists()), None)
    words = ["init", *([path] if path is not None else []), "--job", free]
    what = "this job is there already, and is never overwritten; begin another one beside it"
    return Fault(what, where=str(job), fix=typed(*words) if free is not None else "")


def write_files(begun: Begun) -> tuple[list[str], list[str]]:
    """Write the files of a new job; return the names of those written, and of those that were there and stay.

    Raises OSError, and SpecError where the job file came meanwhile.
    """
    folder = begun.job.parent
    texts = {
        **({begun.draft.example: _EXAMPLE_ROWS} if begun.draft.example else {}),
        SCHEMA: json.dumps(json_schema(), indent=2) + "\n",
        DECISIONS: _DECISIONS,
        ".env.example": _example_of_credentials(),
        ".gitignore": _IGNORED,
    }
    made = {name: _written(folder / name, text) for name, text in texts.items()}
    if not _written(begun.job, begun.text):  # the last: with it a job is there
        raise SpecError(_there_already(begun.draft.source, begun.job))
    new = [name for name, is_new in made.items() if is_new]
    return [begun.job.name, *new], [name for name in made if name not in new]


def _written(path: Path, text: str) -> bool:
    """Write a file that is not there yet; return whether it was not."""
    try:
        file = path.open("x", encoding="utf-8", newline="\n")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(text)
    except BaseException:
        path.unlink(missing_ok=True)  # half a file would be kept next time
        raise
    return True


def _example_of_credentials() -> str:
    client_id, secret, key = CREDENTIALS
    return (
        "# Copy this file to .env (cp .env.example .env), fill in one of the two kinds, and let nobody else read it\n"
        "# (chmod 600 .env). Never write credentials into a job file: there they are refused.\n"
        f"{client_id}=\n{secret}=\n# or\n# {key}=\n"
    )


def is_ignored(folder: Path) -> bool:
    """Return whether the `.gitignore` of a folder keeps credentials out of a repository."""
    with suppress(OSError, UnicodeError):
        return any(
            line.strip() in (".env", "/.env", "*.env", ".env*")
            for line in (folder / ".gitignore").read_text("utf-8").splitlines()
        )
    return False

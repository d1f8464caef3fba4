"""What a run begins with: the items its job lists now, or the open ones that a person has tried again."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from pipeline.engine.intake import Intake
from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.journal.journal import Journal
from pipeline.journal.storage import reading_only
from pipeline.sources.check import fingerprint
from pipeline.sources.items import read_items

JOB_FOLDER = "job_folder"  # in the journal: where the job file lay when it was run
_OFFERED = ("asked", "admitted", "admitting", "generation", "vendor")


@dataclass(frozen=True, slots=True)
class Again:
    """The open items of a run directory, by number, that a person has tried again; `risked` when they are in doubt."""

    folder: Path
    ords: tuple[int, ...]
    risked: bool


async def prepare(spec: JobSpec, journal: Journal, *, accept_changes: bool) -> Intake:
    """Decide what is new since the last run of this directory, and refuse a silent change of what was asked.

    A job whose sources are as they were is not read again. When they changed, all of them are read before anything is
    sent, because a known id may show another picture now.
    """
    known = await journal.recall(_OFFERED)
    if refused := refusal(spec, vendor=known["vendor"], asked=known["asked"], accept_changes=accept_changes):
        raise SpecError(*refused)
    asked = _asked(spec)
    await journal.remember({"vendor": spec.host})
    print_ = await anyio.to_thread.run_sync(fingerprint, spec)
    generation = int(known["generation"] or 0)
    intake = functools.partial(Intake, read_items(spec), journal, fingerprint=print_, accept_changes=accept_changes)
    noted = {"asked": asked, JOB_FOLDER: str(spec.folder)}
    if generation > 0 and print_ not in (known["admitted"], known["admitting"]):
        # What is noted of changed sources is noted once all of them are in: refused or killed, nothing has happened.
        fresh = intake(generation=generation + 1)
        await fresh.run_whole()
        await journal.remember(noted)
        return fresh
    await journal.requeue_failed()
    if known["admitted"] == print_:
        await journal.remember(noted)
        same = intake(generation=generation)
        same.skip()
        return same
    # A first reading that was cut short goes on in its generation: what it has read is listed still.
    generation = max(1, generation)
    begun = {"admitted": "", "admitting": print_, "generation": str(generation)}
    await journal.remember(noted | begun)
    return intake(generation=generation)


def refusal(spec: JobSpec, *, vendor: str | None, asked: str | None, accept_changes: bool = False) -> list[str]:
    """Why this job may not go on in a run directory that belongs to `vendor` and was `asked` that; [] when it may."""
    if vendor not in (None, spec.host):
        return [
            f"this run directory belongs to {vendor}, not to {spec.host}: what one has found and paid says "
            "nothing of the other; nothing was sent. Start a new run (`run --new`)"
        ]
    if asked in (None, _asked(spec)) or accept_changes:
        return []
    return _differences(json.loads(asked or "{}"), spec.asked())


def _asked(spec: JobSpec) -> str:
    return json.dumps(spec.asked(), sort_keys=True)


async def prepare_again(journal: Journal, again: Again) -> Intake:
    """Let these items alone be worked on; the sources of the job are not read."""
    await journal.waiting.choose(again.ords, risked=again.risked)
    known = await journal.recall(_OFFERED)
    intake = Intake((), journal, generation=int(known["generation"] or 0), fingerprint="")
    intake.skip()
    return intake


def job_folder(folder: Path) -> Path:
    """Where the job file of a run lay. Raises SpecError when that is not known, or not there any more."""
    with reading_only(folder) as db:
        known = db.meta(JOB_FOLDER)
    if known is None:
        raise SpecError(f"{folder} does not say where its job file lies; `pipeline run` that job file once, then retry")
    if not Path(known).is_dir():
        raise SpecError(f"{folder}: its job file's folder {known} is gone; put it back, or `pipeline run` the job file")
    return Path(known)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    lines = ["this run directory was asked something else before; nothing was sent:"]
    for part in now:
        keys = sorted({*before.get(part, {}), *now[part]})
        for key in keys:
            old, new = before.get(part, {}).get(key), now[part].get(key)
            if old != new:
                lines.append(f"{part}.{key}: was {json.dumps(old)}, is now {json.dumps(new)}")
    return [*lines, "start a new run (`run --new`), or accept it for items not yet paid (`run --accept-changes`)"]

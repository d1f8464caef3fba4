"""The beginning of a run: the intake of the items that the job lists, or of those that a person selected."""

import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import anyio

from pipeline.endpoints.patsnap.ai39_submit import NAME as SUBMIT
from pipeline.engine.intake import Intake
from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.journal.collected import LATER_SINCE
from pipeline.journal.journal import Journal
from pipeline.run.directory import JOB_FOLDER
from pipeline.run.options import Again, RunOptions
from pipeline.sources.check import fingerprint
from pipeline.sources.ids import make_id
from pipeline.sources.items import read_items
from pipeline.system.fault import Fault

_REPORTS_FIRST = Fault(
    "tasks of this run directory wait for their reports, which only the method they were opened by can ask for, and "
    "nothing was sent: run the job with its method of before until they are in, then change it",
    where="method",
)
_COLLECT_FIRST = Fault(
    "tasks of this run directory are paid and not read yet, and as the job reads now nobody could ask for their "
    "reports; nothing was sent: `pipeline collect` reads them first",
    where="task.report",
)
_WAITED_FOR = Fault(
    "tasks of this run directory wait for their reports, as the job asked before, and `later` would ask for them never "
    "more; nothing was sent: `pipeline collect` reads them first",
    where="task.report: later",
)
_READ = {"later", "wait"}  # one question to the vendor about each task, asked now or by `collect`
NOTED = ("asked", "admitted", "admitting", "generation", "vendor", LATER_SINCE)


class Reading(NamedTuple):
    """The way in which a run reads the sources of its job.

    generation   the number of the reading
    first        True when the sources changed since they were read: all are read before anything is sent, because a
                 known id may show another picture now. A run that is refused or killed meanwhile leaves the journal as
                 it was
    again        False when the sources are as they were, and were read to their end: they are not read again. When
                 neither holds they were never read to their end, and are read while the first items are worked on
    """

    generation: int
    first: bool
    again: bool


def reading_of(noted: Mapping[str, str | None], fingerprint: str) -> Reading:
    """Decide how sources with this fingerprint are read, by what the journal has noted (`NOTED`)."""
    generation = int(noted["generation"] or 0)
    if generation > 0 and fingerprint not in (noted["admitted"], noted["admitting"]):
        return Reading(generation + 1, first=True, again=True)
    if noted["admitted"] == fingerprint:
        return Reading(generation, first=False, again=False)
    # If the first intake was interrupted, keep its generation number, so that rows already read count as listed.
    return Reading(max(1, generation), first=False, again=True)


async def begin(spec: JobSpec, journal: Journal, options: RunOptions) -> Intake:
    """Return the intake of this run. Raises SpecError when the run directory belongs to another job or vendor."""
    if options.again is not None:
        return await _selected(journal, options.again)
    return await _listed(spec, journal, options)


async def _selected(journal: Journal, again: Again) -> Intake:
    """Let these items alone be worked on; the sources of the job are not read."""
    await journal.waiting.choose(again.ords, risked=again.risked)
    known = await journal.recall(NOTED)
    intake = Intake((), journal, generation=int(known["generation"] or 0), fingerprint="")
    intake.skip()
    return intake


async def _listed(spec: JobSpec, journal: Journal, options: RunOptions) -> Intake:
    """Return the intake of what the job lists and the journal does not know yet, read as `reading_of` decides."""
    known = await journal.recall(NOTED)
    accept, anew = options.accept_changes, "" if options.given is None else options.given.anew
    if refused := refusal(spec, vendor=known["vendor"], asked=known["asked"], accept_changes=accept, anew=anew):
        raise SpecError(*refused)
    if _other_method(spec, known["asked"]) and await journal.reports.awaited(after=0):
        raise SpecError(_REPORTS_FIRST)
    await _refuse_unread(spec, journal, known)
    await journal.remember({"vendor": spec.host})
    now = await anyio.to_thread.run_sync(fingerprint, spec)
    generation, first, again = reading_of(known, now)
    items = read_items(spec, hashed=await journal.settle_naming(make_id))
    intake = Intake(items, journal, generation=generation, fingerprint=now, accept_changes=accept)
    noted = {"asked": asked_of(spec), JOB_FOLDER: str(spec.folder)}
    if first:
        await intake.run_whole()
        await journal.remember(noted)
        return intake
    await journal.requeue_failed()
    if not again:
        await journal.remember(noted)
        intake.skip()
        return intake
    await journal.remember(noted | {"admitted": "", "admitting": now, "generation": str(generation)})
    return intake


async def _refuse_unread(spec: JobSpec, journal: Journal, known: Mapping[str, str | None]) -> None:
    """Refuse to read reports in another way, or by another method, while tasks are paid that are read in the old one.

    From the first time on that a job asks for reports to be read later, that is noted.
    """
    if spec.reads_later:
        if known["asked"] not in (None, asked_of(spec)) and await journal.reports.awaited(after=0):
            raise SpecError(_WAITED_FOR)
        if known[LATER_SINCE] is None:
            await journal.remember({LATER_SINCE: repr(time.time())})
    other = spec.awaits_reports or _other_method(spec, known["asked"])
    if other and known[LATER_SINCE] is not None and await journal.reports.unread(now=time.time()):
        raise SpecError(_COLLECT_FIRST)


def _other_method(spec: JobSpec, asked: str | None) -> bool:
    """Return whether the tasks of this run directory were opened by the other method."""
    search = json.loads(asked or "{}").get("search", {})
    return bool(search) and (search.get("endpoint") == SUBMIT) is not spec.submits


def refusal(
    spec: JobSpec, *, vendor: str | None, asked: str | None, accept_changes: bool = False, anew: str = ""
) -> list[str]:
    """List why this job may not go on in a run directory; [] when it may.

    `vendor` is the host that the directory belongs to, `asked` what was asked there before; None where nothing was.
    `anew` is the command that begins all anew where `run` is not the one to do so.
    """
    if vendor not in (None, spec.host):
        start = "Start a new run" if anew else "Start a new run with --new"
        what = (
            f"this run directory belongs to {vendor}, not to {spec.host}: what one has found and paid says nothing of "
            f"the other; nothing was sent. {start}"
        )
        return [Fault(what, where="api.base_url", fix=anew or "--new")]
    if asked in (None, asked_of(spec)) or accept_changes:
        return []
    return _differences(json.loads(asked or "{}"), spec.asked(), anew)


def asked_of(spec: JobSpec) -> str:
    """Return what a job asks of the vendor, as `refusal` compares it with what was asked before."""
    return json.dumps(spec.asked(), sort_keys=True)


def _shown(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], anew: str) -> list[str]:
    changed = {}
    for part in now:
        if part not in before:  # the first version noted nothing of where pictures lie
            continue
        for key in sorted({*before[part], *now[part]}):
            old, new = before[part].get(key), now[part].get(key)
            if old != new and not (f"{part}.{key}" == "task.report" and {old, new} == _READ):
                changed[f"{part}.{key}"] = f"was {_shown(old)}, is now {_shown(new)}"
    if not changed:
        return []
    ways = (
        "--accept-changes asks it for the items that are not yet paid, --new starts a new run and pays for all of them"
    )
    if anew:
        ways = "Put the job back as it was, or start a new run, which pays for all items"
    what = (
        "this run directory was asked something else before, and nothing was sent: "
        f"{'; '.join(f'{key} {text}' for key, text in changed.items())}. {ways}"
    )
    return [Fault(what, where=", ".join(changed), fix=anew or "--accept-changes")]

"""The job: its pictures, its run directory, the room on the disk, when a run would end and what it would cost."""

import os
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.errors import JournalError, SpecError
from pipeline.job.outlook import warnings
from pipeline.job.schema import JobSpec
from pipeline.journal.emergency import require_room
from pipeline.offline.doctor.finding import Finding, failed, failure, failures, passed, warned
from pipeline.offline.plan import Plan, PlannedRun, make_plan
from pipeline.offline.shards.foresight import next_steps
from pipeline.run.cluster_runs import shared_folder
from pipeline.run.directory import is_locked, run_folder
from pipeline.run.load import account_known
from pipeline.sources.check import check_sources
from pipeline.sources.foreign import refuse_foreign
from pipeline.sources.inspection import Watch
from pipeline.sources.items import PUBLIC_FIX, PUBLIC_HINT, may_upload
from pipeline.system.fault import settings, typed
from pipeline.system.mounts import network_file_system
from pipeline.system.wording import count, duration

_SHOWN = 5  # kinds of faulty rows


def job(
    path: Path, spec: JobSpec, *, now: datetime, overrides: Sequence[str] = (), watch: Watch | None = None
) -> list[Finding]:
    """Look at everything that a run of this job would need; `watch` is told how many pictures were opened.

    `overrides` are what changed the file to this job: commands name them beside it.
    """
    words = [path, *settings(overrides)]
    allowed = spec.model_copy(update={"upload": spec.upload.model_copy(update={"public": True})})
    try:
        check_sources(allowed)
        folder = run_folder(spec, now=now)
        plan = make_plan(allowed, PlannedRun(account=account_known(path, spec)), watch=watch)
        foreign = refuse_foreign(spec, path)
    except (SpecError, JournalError) as error:
        return failures("job", error)
    items = plan.items - plan.repeated
    return [
        passed("job", f"{path}: {count(items, 'item')} for {plan.vendor}"),
        *(warned("job", text) for text in warnings(spec)),
        *([failure("job", foreign)] if foreign else []),
        *_pictures(plan, typed("check", *words)),
        *_uploads(spec, plan),
        *(_directory(folder, plan) if spec.cluster is None else _shared(spec, folder, plan, words)),
        *_room(folder, plan),
        *_pace(spec, plan, now),
        *_notify(spec),
        *_cost(spec, plan),
    ]


def _pictures(plan: Plan, check: str) -> list[Finding]:
    if not plan.bad:
        same = (
            f"; {count(plan.same_picture, 'shows', 'show')} another item's picture, searched once"
            if plan.same_picture
            else ""
        )
        return [passed("pictures", f"all that are files were opened, all rows read: none is refused{same}")]
    text = f"{plan.bad:,} of {count(plan.items, 'row')} cannot be used, and become failed items: {plan.bad_rows[0]}"
    others = [failed("pictures", str(row)) for row in plan.bad_rows[1:_SHOWN]]
    all_bad = plan.bad >= plan.items
    return [
        (failed if all_bad else warned)("pictures", text, fix=check),
        *(others if all_bad else map(_softened, others)),
    ]


def _uploads(spec: JobSpec, plan: Plan) -> list[Finding]:
    """Say that local pictures may not be uploaded yet; all else was looked at as if they might."""
    local = plan.calls.get("upload", 0)
    if not local or may_upload(spec):
        return []
    has_section = "upload" in spec.model_fields_set  # a second one would be refused
    fix = "public: true" if has_section else PUBLIC_FIX
    return [failed("upload", f"{count(local, 'local picture')}: {PUBLIC_HINT}", fix=fix)]


def _softened(finding: Finding) -> Finding:
    return warned(finding.name, finding.text, fix=finding.fix)


def _directory(folder: Path, plan: Plan) -> list[Finding]:
    """Look at the run directory: whether it may be written, is in use, or refuses this job."""
    refused = [failed("run directory", line) for line in plan.refused]
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return [*refused, failed("run directory", f"{folder}: {there} cannot be written; set output.dir")]
    if (kind := network_file_system(there)) is not None:
        text = f"{folder} lies on a network ({kind}), and a run's journal must not; set output.dir to a local disk"
        return [*refused, failed("run directory", text)]
    if not folder.exists():
        return [*refused, passed("run directory", f"{folder} will be made")]
    if is_locked(folder):
        return [
            *refused,
            warned("run directory", f"{folder} is in use: a run is under way", fix=typed("status", folder)),
        ]
    known = ", ".join(f"{number:,} {word.replace('_', ' ')}" for word, number in plan.already.items())
    return [
        *refused,
        passed("run directory", f"{folder}: a run would go on with it ({known or 'nothing settled yet'})"),
    ]


def _shared(spec: JobSpec, folder: Path, plan: Plan, words: Sequence[object]) -> list[Finding]:
    """Look at the folder that machines share, and say how the job goes on there."""
    refused = [failed("run directory", line) for line in plan.refused]
    try:
        shared = shared_folder(spec)
    except JournalError as error:
        return [*refused, *failures("run directory", error)]
    if not os.access(shared, os.W_OK | os.X_OK):
        return [*refused, failed("run directory", f"{folder}: {shared} cannot be written; set cluster.shared")]
    return [*refused, passed("run directory", f"{folder}: {next_steps(folder, words)}")]


def _room(folder: Path, plan: Plan) -> list[Finding]:
    left = plan.calls.get("create", 0) or plan.calls.get("search", 0)  # a search may take several calls
    there = next((place for place in (folder, *folder.parents) if place.is_dir()), None)
    if there is None:
        return []
    try:
        require_room(there, left)
    except JournalError as error:
        return failures("disk", error)
    free = shutil.disk_usage(there).free
    return [passed("disk", f"{free >> 20:,} MB free, room enough for {count(left, 'item')}")]


def _pace(spec: JobSpec, plan: Plan, now: datetime) -> list[Finding]:
    if not plan.seconds:
        asks = plan.details or plan.questions
        return [] if asks else [passed("pace", "nothing is left to be sent")]
    ends = now + timedelta(seconds=plan.seconds)
    text = f"{duration(plan.seconds)} at the QPS, bound by {plan.binds}: begun now it ends about {ends:%Y-%m-%d %H:%M}"
    found = [passed("pace", text)]
    if plan.left_out:
        found.append(warned("budget", f"{count(plan.left_out, 'item')} would be left out: {plan.budget}"))
    elif all(spec.api.budget_of(kind) is None for kind in spec.paced) and spec.api.budget.money is None:
        found.append(passed("budget", "none is set: nothing caps what a run may pay for (api.budget)"))
    else:
        found.append(passed("budget", "enough for all items, when each goes well at once"))
    return found


def _notify(spec: JobSpec) -> list[Finding]:
    """Look whether the program that tells somebody of a run's end is there; it is not started."""
    if spec.notify is None:
        return []
    if spec.cluster is not None:
        what = "`work` and `cluster run` start no program (notify): ask `pipeline status JOB` at their end"
        return [warned("notify", what)]
    name = spec.notify.command[0]
    there = spec.folder / name if "/" in name else shutil.which(name)
    if there is None or not os.access(there, os.X_OK):
        return [
            warned("notify", f"no program {name!r} is here (notify.command), so nobody would be told how a run ended")
        ]
    return [passed("notify", f"{there} would be told how a run ended")]


def _cost(spec: JobSpec, plan: Plan) -> list[Finding]:
    """Say what would be paid; here nothing is."""
    calls = ", ".join(f"{number:,} {kind}" for kind, number in plan.calls.items() if number)
    if not (calls or plan.details or plan.questions):
        return [passed("cost", "nothing would be paid")]
    more = [f"{count(plan.details, 'patent')} with details"] if plan.details else []
    more += [f"about {count(plan.questions, 'question')} for reports"] if plan.questions else []
    more += [str(plan.cost)] if plan.cost is not None else []
    price = "" if plan.cost is not None else "; with `prices:` in the job it is told in money"
    free = ", on the sandbox, for free" if spec.sandbox else " would be paid by the account; the doctor paid nothing"
    return [passed("cost", f"{', '.join(filter(None, [calls, *more]))}{free}{'' if spec.sandbox else price}")]

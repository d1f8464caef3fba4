"""`retry`: open items that a person wants to be paid for once more."""

import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pipeline.cli.asking import ask, on_a_terminal
from pipeline.cli.commands.resolve import names, refuse_unseen
from pipeline.cli.commands.run import carry_out, tell
from pipeline.cli.errors import say
from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.journal.sql.forecast import Candidate, candidates
from pipeline.journal.sql.items import counts
from pipeline.models import WAITING, Kind, State
from pipeline.offline.opening import find_run, opened
from pipeline.offline.refresh import unseen
from pipeline.run.load import load_again
from pipeline.run.options import Again, RunOptions

_ONLY = {"failed": State.FAILED, "in-doubt": State.IN_DOUBT, "expired": State.EXPIRED}


class Wanted(NamedTuple):
    """Which open items are to be tried again: a word of `--only`, an error code, and how many at most."""

    only: str
    code: str | None = None
    limit: int | None = None


def retry_command(
    run: Path,
    wanted: Wanted,
    overrides: list[str],
    options: RunOptions,
    *,
    yes: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Pay once more for the open items that are wanted, and for no others; return the exit code."""
    only, code, limit = wanted
    state = _ONLY.get(only)
    if state is None:
        raise SpecError(f"--only {only}: allowed are {', '.join(_ONLY)}")
    place = find_run(run)
    job = load_again(run, overrides=overrides)
    with opened(run) as disk:
        if state is State.IN_DOUBT:
            refuse_unseen(place, disk.db, unseen(run, disk.db))
        found = candidates(disk.db, state, code=code, limit=limit, now=time.time())
        waiting = sum(counts(disk.db).get(state, 0) for state in WAITING)
    kind = f"{state.word.replace('_', ' ')}{f' with {code}' if code else ''}"
    if not found:
        rest = f"; {waiting:,} items wait, and `pipeline run` works on them" if waiting else ""
        say(f"no item of this run is {kind} and could be tried again; nothing was sent{rest}")
        return 0
    said = _said(found, kind, job.spec, risked=state is State.IN_DOUBT)
    if not yes and not job.spec.sandbox and on_a_terminal():
        ask(said)
    else:
        say(said)
    again = Again(run.resolve(), tuple(one.ord for one in found), risked=state is State.IN_DOUBT)
    summary = carry_out(job, replace(options, again=again), quiet=quiet)
    tell(summary, as_json=as_json, quiet=quiet)
    return summary.exit_code


def _said(found: list[Candidate], kind: str, spec: JobSpec, *, risked: bool) -> str:
    """How many items are paid for again, which, and with how many calls."""
    calls = {
        Kind.UPLOAD: sum(one.to_upload for one in found),
        Kind.SEARCH: sum(one.to_search for one in found),
        Kind.CREATE: len(found) if spec.task.enabled else 0,
    }
    counted = ", ".join(f"{count:,} {kind}" for kind, count in calls.items())
    one, total = len(found) == 1, sum(calls.values())
    items = f"1 item that is {kind} is" if one else f"{len(found):,} items that are {kind} are"
    risk = f" {'It' if one else 'Each of them'} may be paid twice." if risked else ""
    return (
        f"{items} tried again with {total:,} {'call' if total == 1 else 'calls'} ({counted}) to {spec.vendor}, and "
        f"what is repeated of them, which the account pays for: {names([one.id for one in found])}.{risk}"
    )

"""`resolve` and `retry`: what a person decides about a run directory."""

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pipeline import app
from pipeline.afterwards import Place, find_run, opened, tell_anew, unseen
from pipeline.cli.failures import say
from pipeline.cli.running import ask, carry_out, on_a_terminal, tell
from pipeline.cli.show import show_lines, stdout_console
from pipeline.errors import SpecError
from pipeline.finish import write_report_page
from pipeline.journal.outlook import Candidate, candidates
from pipeline.journal.store import Store
from pipeline.models import WAITING, Kind, State
from pipeline.offering import Again
from pipeline.resolve import CREATED, NOT_CREATED, RETRY, Decision, all_in_doubt, read_decisions, resolve
from pipeline.rundir import OPEN
from pipeline.spec import JobSpec

_ALL = (NOT_CREATED, RETRY)
_ONLY = {"failed": State.FAILED, "in-doubt": State.IN_DOUBT, "expired": State.EXPIRED}
_SHOWN = 5


def resolve_command(
    run: Path,
    *,
    created: list[str],
    not_created: list[str],
    retry: list[str],
    everything: str | None,
    file: Path | None,
) -> int:
    """Apply decisions about items in doubt, all or none; say exactly what was done."""
    place = find_run(run)
    decisions = [_created(pair) for pair in created]
    decisions += [Decision(id_, NOT_CREATED, None, "--not-created") for id_ in not_created]
    decisions += [Decision(id_, RETRY, None, "--retry") for id_ in retry]
    if file is not None:
        decisions += read_decisions(file)
    if everything is None and not decisions:
        raise SpecError(f"nothing was decided; `pipeline status {run}` shows what is in doubt")
    if everything is not None:
        _check_all(everything, decisions)
    with opened(run) as disk:
        if everything is not None:
            decisions = all_in_doubt(disk.store, everything)
        _refuse_unseen(place, disk.store, [decision.id for decision in decisions])
        said = resolve(disk, decisions, place.spec, place.records)
        rest = f"{len(said):,} decided, {disk.store.counts().get(State.IN_DOUBT, 0):,} still in doubt"
        show_lines([*said, f"{rest}; `pipeline run` goes on with the job"], stdout_console())
        _tell_anew(place, disk.store)
    return 0


def _refuse_unseen(place: Place, store: Store, ids: Collection[str]) -> None:
    """Show what a death put in doubt before anyone decides about it. Raises SpecError if one of `ids` is among it."""
    new = unseen(place.folder, store)
    if not set(new) & set(ids):
        return
    _tell_anew(place, store)
    count = "1 more item is" if len(new) == 1 else f"{len(new):,} more items are"
    raise SpecError(
        f"{count} in doubt since the run died, and nobody was shown: {_names(new)}. Nothing was decided; look at "
        f"{place.folder / OPEN}, then decide"
    )


def _created(pair: str) -> Decision:
    try:
        id_, task_id = json.loads(pair)
    except (ValueError, TypeError):
        raise SpecError(f"--created {pair}: takes two words, the ID of the item and the id of its TASK") from None
    return Decision(id_, CREATED, task_id, "--created")


def _check_all(everything: str, decisions: list[Decision]) -> None:
    if everything == CREATED:
        raise SpecError("--all created: each item needs a task id of its own; list them in a file, see --from")
    if everything not in _ALL:
        raise SpecError(f"--all {everything}: allowed are {' and '.join(_ALL)}")
    if decisions:
        raise SpecError("--all decides about every item in doubt; leave out the other decisions")


class Wanted(NamedTuple):
    """Which open items are to be tried again: a word of `--only`, an error code, and how many at most."""

    only: str
    code: str | None = None
    limit: int | None = None


def retry_command(
    run: Path,
    wanted: Wanted,
    overrides: list[str],
    options: app.RunOptions,
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
    job = app.load_again(run, overrides=overrides)
    with opened(run) as disk:
        if state is State.IN_DOUBT:
            _refuse_unseen(place, disk.store, unseen(run, disk.store))
        found = candidates(disk.store, state, code=code, limit=limit, now=time.time())
        waiting = sum(disk.store.counts().get(state, 0) for state in WAITING)
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
        f"what is repeated of them, which the account pays for: {_names([one.id for one in found])}.{risk}"
    )


def _names(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def _tell_anew(place: Place, store: Store) -> None:
    """Write what people look at as the journal says now; a file that cannot be written undoes nothing, and is named."""
    try:
        summary = tell_anew(place, store)
        write_report_page(place.spec, place.folder, summary, hit_picture=app.hit_picture(place.spec, place.folder))
    except Exception as exc:  # whatever it is: what was decided is durable, and must not look like a bug's victim
        reason = f"{exc.filename}: {exc.strerror}" if isinstance(exc, OSError) else f"{type(exc).__name__}: {exc}"
        say(
            f"open.jsonl, summary.json or report.html could not be written anew ({reason}); the journal is right, and "
            "the next command that ends writes them"
        )

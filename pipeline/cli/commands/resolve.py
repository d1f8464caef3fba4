"""The command `pipeline resolve`."""

import difflib
import json
from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.screen import show_lines
from pipeline.cluster.directories import Directories, directories
from pipeline.cluster.layout import refuse_shard
from pipeline.cluster.owning import owning
from pipeline.errors import SpecError
from pipeline.journal.places import run_of
from pipeline.journal.sql.items import counts
from pipeline.models import State
from pipeline.offline.decisions import CREATED, NOT_CREATED, RETRY, Decision, read_decisions
from pipeline.offline.opening import find_run, opened
from pipeline.offline.refresh import refuse_unseen, try_refresh
from pipeline.offline.resolve import all_in_doubt, resolve
from pipeline.offline.shards import resolve as shards
from pipeline.system.fault import Fault, typed

_ALL = (NOT_CREATED, RETRY)


def resolve_command(
    run: Path,
    *,
    created: list[str],
    not_created: list[str],
    retry: list[str],
    everything: str | None,
    file: Path | None,
) -> int:
    """Apply decisions about items in doubt, all or none; print exactly what was done."""
    found = directories(run)
    refuse_shard(run, "resolve")
    decisions = [_created(pair) for pair in created]
    decisions += [Decision(id_, NOT_CREATED, None, "--not-created") for id_ in not_created]
    decisions += [Decision(id_, RETRY, None, "--retry") for id_ in retry]
    if file is not None:
        decisions += read_decisions(file)
    if everything is None and not decisions:
        raise SpecError(Fault("nothing was decided; look at what is in doubt", fix=typed("status", run)))
    if everything is not None:
        _check_all(everything, decisions)
    if found.cluster is not None:
        return _in_shards(found, decisions, everything)
    place = find_run(run)
    if (around := run_of(run)) is not None:
        _refuse_to_let_wait(run, decisions, everything)
    with opened(run) as disk:
        if everything is not None:
            decisions = all_in_doubt(disk.db, everything)
        refuse_unseen(place, disk.db, [decision.id for decision in decisions])
        done = resolve(disk, decisions, place.records)
        rest = f"{len(done):,} decided, {counts(disk.db).get(State.IN_DOUBT, 0):,} still in doubt"
        remark = try_refresh(place, disk.db)
    if around is None:
        show_lines([*done, f"{rest}; `pipeline run` goes on with the job"])
    else:
        show_lines([*done, f"{rest}; `{typed('collect', around)}` asks for what is still to be read"])
    if remark:
        say(remark)
    return 0


def _refuse_to_let_wait(reports: Path, decisions: list[Decision], everything: str | None) -> None:
    """Raise SpecError where an item of collected reports is to wait for a run: nothing works on it there by itself."""
    if everything is None and all(one.decision == CREATED for one in decisions):
        return
    what = "nothing goes on by itself with an item of collected reports; to create its task once more"
    raise SpecError(Fault(what, where=str(reports), fix=typed("retry", reports, "--only", "in-doubt")))


def _in_shards(found: Directories, decisions: list[Decision], everything: str | None) -> int:
    """Apply decisions shard by shard; what is done in one is durable, and is printed, whatever becomes of the next."""
    spec = next(found.each(find_run)).spec
    placed = shards.place(found, decisions) if everything is None else shards.doubtful(found, everything)
    number = 0
    with owning(found.folder, spec.api.leases, say=say) as owner:
        for one in placed:
            done, remark = shards.resolve_shard(found, owner, one, everything)
            number += len(done)
            show_lines(done)
            if remark:
                say(remark)
    rest = f"{number:,} decided, {shards.still_in_doubt(directories(found.folder)):,} still in doubt"
    show_lines([f"{rest}; `pipeline work` goes on with the job, `pipeline report` makes page and open.jsonl anew"])
    return 0


def _created(pair: str) -> Decision:
    try:
        id_, task_id = json.loads(pair)
    except (ValueError, TypeError):
        what = "takes two words, the ID of the item and the id of its TASK"
        raise SpecError(Fault(what, where=f"--created {pair}")) from None
    return Decision(id_, CREATED, task_id, "--created")


def _check_all(everything: str, decisions: list[Decision]) -> None:
    if everything == CREATED:
        what = "each item needs a task id of its own; list them in a file, see --from"
        raise SpecError(Fault(what, where="--all created", fix=typed("resolve", "--help")))
    if everything not in _ALL:
        near = difflib.get_close_matches(everything.lower().replace("_", "-"), _ALL, n=1)
        fix = f"--all {near[0]}" if near else ""
        raise SpecError(Fault(f"{everything!r} is not allowed; allowed: {', '.join(_ALL)}", where="--all", fix=fix))
    if decisions:
        raise SpecError(Fault("it decides about every item in doubt; leave out the other decisions", where="--all"))

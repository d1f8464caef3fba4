"""The command `pipeline resolve`."""

import json
from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.screen import show_lines
from pipeline.errors import SpecError
from pipeline.journal.sql.items import counts
from pipeline.models import State
from pipeline.offline.decisions import CREATED, NOT_CREATED, RETRY, Decision, read_decisions
from pipeline.offline.opening import find_run, opened
from pipeline.offline.refresh import refuse_unseen, try_refresh
from pipeline.offline.resolve import all_in_doubt, resolve

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
            decisions = all_in_doubt(disk.db, everything)
        refuse_unseen(place, disk.db, [decision.id for decision in decisions])
        done = resolve(disk, decisions, place.records)
        rest = f"{len(done):,} decided, {counts(disk.db).get(State.IN_DOUBT, 0):,} still in doubt"
        remark = try_refresh(place, disk.db)
    show_lines([*done, f"{rest}; `pipeline run` goes on with the job"])
    if remark:
        say(remark)
    return 0


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

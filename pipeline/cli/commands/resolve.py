"""`resolve`: a person's decisions about items in doubt."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.screen import show_lines, stdout_console
from pipeline.errors import SpecError
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.items import counts
from pipeline.models import State
from pipeline.offline.opening import Place, find_run, opened
from pipeline.offline.refresh import tell_anew, unseen
from pipeline.offline.resolve import CREATED, NOT_CREATED, RETRY, Decision, all_in_doubt, read_decisions, resolve
from pipeline.results.reading import OPEN
from pipeline.run.embedded_sandbox import hit_picture
from pipeline.run.end import write_report_page

_ALL = (NOT_CREATED, RETRY)


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
            decisions = all_in_doubt(disk.db, everything)
        refuse_unseen(place, disk.db, [decision.id for decision in decisions])
        said = resolve(disk, decisions, place.spec, place.records)
        rest = f"{len(said):,} decided, {counts(disk.db).get(State.IN_DOUBT, 0):,} still in doubt"
        show_lines([*said, f"{rest}; `pipeline run` goes on with the job"], stdout_console())
        _tell_anew(place, disk.db)
    return 0


def refuse_unseen(place: Place, db: Database, ids: Collection[str]) -> None:
    """Show what a death put in doubt before anyone decides about it. Raises SpecError if one of `ids` is among it."""
    new = unseen(place.folder, db)
    if not set(new) & set(ids):
        return
    _tell_anew(place, db)
    count = "1 more item is" if len(new) == 1 else f"{len(new):,} more items are"
    raise SpecError(
        f"{count} in doubt since the run died, and nobody was shown: {names(new)}. Nothing was decided; look at "
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


def names(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def _tell_anew(place: Place, db: Database) -> None:
    """Write what people look at as the journal says now; a file that cannot be written undoes nothing, and is named."""
    try:
        summary = tell_anew(place, db)
        write_report_page(place.spec, place.folder, summary, hit_picture=hit_picture(place.spec, place.folder))
    except Exception as exc:  # whatever it is: what was decided is durable, and must not look like a bug's victim
        reason = f"{exc.filename}: {exc.strerror}" if isinstance(exc, OSError) else f"{type(exc).__name__}: {exc}"
        say(
            f"open.jsonl, summary.json or report.html could not be written anew ({reason}); the journal is right, and "
            "the next command that ends writes them"
        )

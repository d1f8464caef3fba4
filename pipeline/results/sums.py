"""The figures of several run directories as those of one: counts, calls and money."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from pipeline.models import State
from pipeline.results.money import Money
from pipeline.results.summary import (
    FINISHED,
    INTERRUPTED,
    RUNNING,
    Patents,
    Pictures,
    RunSummary,
    Said,
    Spent,
    exit_of,
)


def in_one(parts: Sequence[RunSummary], *, run: str, results: str, waiting: int, listed: bool = True) -> RunSummary:
    """Put the summaries of the shards of a run together; `waiting` are items that no worker has taken in.

    `listed` is whether the run's own open.jsonl names all that are open. What several shards left out of sight is not
    summed: only who reads their records knows it.
    """
    more = {"all": waiting, "settled": 0, "open": 0, "not_started": waiting}
    items = added([*(one.items for one in parts), more])
    state = state_in_all((one.state for one in parts), waiting=waiting)
    code, reason, ended_by = _end(parts, items, state, listed=listed)
    calls = _calls(parts)
    return msgspec.structs.replace(
        parts[0],
        run=run,
        spec_sha256="",
        started_at=min(one.started_at for one in parts),
        finished_at=max(one.finished_at for one in parts),
        duration_s=max(one.duration_s for one in parts),
        exit_code=code,
        exit_reason=reason,
        ended_by=ended_by,
        items=items,
        calls=calls,
        calls_this_run=added(one.calls_this_run for one in parts),
        units_billed=sum(one.units_billed for one in parts),
        units_said=Said(sum(one.units_said.by for one in parts), sum(one.units_said.of for one in parts)),
        money=spent_in_all(one.money for one in parts),
        details=_patents(parts),
        calls_per_settled={kind: round(one.sent / (items["settled"] or 1), 4) for kind, one in calls.items()},
        refused_for_speed=sum(one.refused_for_speed for one in parts),
        retried=sum(one.retried for one in parts),
        answers_of_others=sum(one.answers_of_others for one in parts),
        not_looked_at=parts[0].not_looked_at if len(parts) == 1 else [],
        warnings=list(dict.fromkeys(text for one in parts for text in one.warnings)),
        results=results,
        unread=sum(one.unread for one in parts),
        collect_by=min((one.collect_by for one in parts if one.collect_by), default=""),
        pictures=_pictures(parts),
        similar=None,
        state=state,
        as_of=max(one.as_of for one in parts),
    )


def state_in_all(states: Iterable[str], *, waiting: int) -> str:
    """Return the state of a run by those of its shards; `waiting` are items that no worker has taken in."""
    found = {*states, *([INTERRUPTED] if waiting else [])}
    return next((state for state in (RUNNING, INTERRUPTED) if state in found), FINISHED)


def _end(parts: Sequence[RunSummary], items: Mapping[str, int], state: str, *, listed: bool) -> tuple[int, str, str]:
    """Return exit code and reason of all, and the code of what ended a shard early."""
    early = next((one for one in parts if one.exit_code not in (0, 1)), None)
    code, reason = exit_of(None, items, None, limited=False, listed=listed)
    if early is not None and (items["not_started"] or items.get(State.REPORT_PENDING.word)):
        code, reason = early.exit_code, early.exit_reason
    if state == RUNNING:
        reason = "the run is still going on"
    elif state == INTERRUPTED:
        reason = f"not all shards came to their end; {reason}"
    return code, reason, next((one.ended_by for one in parts if one.ended_by), "")


def _calls(parts: Sequence[RunSummary]) -> dict[str, Spent]:
    calls: dict[str, Spent] = {}
    for kind, spent in ((kind, spent) for one in parts for kind, spent in one.calls.items()):
        known = calls.get(kind, Spent(0, 0, spent.budget))
        calls[kind] = Spent(known.sent + spent.sent, known.unknown + spent.unknown, known.budget)
    return calls


def _patents(parts: Sequence[RunSummary]) -> Patents | None:
    known = [one.details for one in parts if one.details is not None]
    if not known:
        return None
    return Patents(
        calls=sum(one.calls for one in known),
        asked=sum(one.asked for one in known),
        found=sum(one.found for one in known),
        from_cache=sum(one.from_cache for one in known),
        unknown=sum(one.unknown for one in known),
        budget=known[0].budget,
    )


def _pictures(parts: Sequence[RunSummary]) -> Pictures | None:
    known = [one.pictures for one in parts if one.pictures is not None]
    if not known:
        return None
    return Pictures(kept=sum(one.kept for one in known), not_kept=added(one.not_kept for one in known))


def added(many: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add counts by word; `removed` stays the last word of items."""
    total: dict[str, int] = {}
    for counts in many:
        for word, number in counts.items():
            total[word] = total.get(word, 0) + number
    if "removed" in total:
        total["removed"] = total.pop("removed")
    return total


def spent_in_all(many: Iterable[Money | None]) -> Money | None:
    """Add what was spent; the budget is one for all. None where the job names no prices."""
    known = [one for one in many if one is not None]
    if not known:
        return None
    by: dict[str, Decimal] = {}
    for one in known:
        for endpoint, amount in one.by.items():
            by[endpoint] = by.get(endpoint, Decimal(0)) + amount
    return Money(
        currency=known[0].currency,
        spent=sum((one.spent for one in known), Decimal(0)),
        unknown=sum((one.unknown for one in known), Decimal(0)),
        budget=known[0].budget,
        by=by,
        unpriced=list(dict.fromkeys(name for one in known for name in one.unpriced)),
    )

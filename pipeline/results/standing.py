"""Decisions of earlier runs as they stand now: each holds for what was there when it was made, not for what rose since.

A dismissed hit is to be decided again when its score has risen since it was dismissed. A decision about a product as a
whole does not hold for hits that came, or rose, later. The scores of then are those of the run that was looked at: a
decision names it, or its time tells it.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from pipeline.errors import JournalError
from pipeline.results.decisions import Decision
from pipeline.results.earlier_runs import KnownRun, runs_in
from pipeline.results.since import NEW, RISEN, Earlier, has_risen, read_earlier

DISMISS = "dismiss"
UNKNOWN = -1  # the score that a hit had when it was decided about

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """Decisions of earlier runs, each with the hits of the run that was looked at as far as they are known."""

    _decided: Mapping[tuple[str, str], Decision] = field(default_factory=dict)
    _runs: Mapping[tuple[str, str], Earlier | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._runs)

    def again(self, item: str, number: str, score: int, mark: str) -> int | None:
        """Return the score that a hit had when it was decided about, if that does not hold any more; None if it does.

        `score` is that of now, in ten thousandths, and `mark` what the hit is against the run before.
        """
        own, whole = self._decided.get((item, number)), self._decided.get((item, ""))
        one = own if own is not None and own.decision else whole
        return None if one is None or not one.decision else self._risen(one, number, score, mark)

    def _risen(self, one: Decision, number: str, score: int, mark: str) -> int | None:
        if one.key not in self._runs:  # made in this run, or a hit that is watched or escalated stays so
            return None
        then = self._runs[one.key]
        if then is None or one.item not in then:
            return UNKNOWN if mark == RISEN or (mark == NEW and not one.patent_pn) else None
        was = then.score_of(one.item, number)
        if was is None:
            return UNKNOWN if mark == RISEN or not one.patent_pn else None
        return was if has_risen(was, score) or mark == RISEN else None


ALL_HOLD = Standing()


def standing_of(folder: Path, here: KnownRun, decisions: Iterable[Decision], before: Earlier | None) -> Standing:
    """Read what the decisions of earlier runs need; `before` is the run before, which is read already."""
    decided = {one.key: one for one in decisions}
    able = [one for one in decided.values() if one.decision == DISMISS or (one.decision and not one.patent_pn)]
    if not able:
        return ALL_HOLD
    beside = [one for one in runs_in(folder.parent) if (one.job, one.vendor) == (here.job, here.vendor)]
    named: dict[str, list[Decision]] = defaultdict(list)
    for one in able:
        if (run := _looked_at(one, folder.name, beside)) != folder.name:
            named[run].append(one)
    runs: dict[tuple[str, str], Earlier | None] = {}
    for run, some in named.items():
        earlier = _read(folder.parent / run, {one.item for one in some}, before) if run else None
        runs.update(dict.fromkeys((one.key for one in some), earlier))
    return Standing(decided, runs)


def _looked_at(one: Decision, here: str, beside: list[KnownRun]) -> str:
    """Name the run in which a decision was made: the newest that had begun by then; "" where nobody can tell."""
    if one.run == here or any(one.run == run.run for run in beside):
        return one.run
    at = one.at
    return next((run.run for run in beside if at and run.started_at[: len(at)] <= at), "")


def _read(folder: Path, items: set[str], before: Earlier | None) -> Earlier | None:
    if before is not None and before.name == folder.name:
        return before
    try:
        return read_earlier(folder, only=items)
    except (JournalError, OSError, msgspec.MsgspecError) as error:
        _log.warning("since.not_known run=%s error=%s", folder.name, error)
        return None

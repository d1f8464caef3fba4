"""The condition under which a run counts as one to look at: `--fail-on new:0.9` or `hit:0.9`, exit code 7."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.errors import PipelineError, SpecError
from pipeline.results.earlier_runs import LAST, NONE, earlier_run
from pipeline.results.reading import RecordView
from pipeline.results.records import read_records
from pipeline.results.since import any_at_least, read_earlier, scores_of
from pipeline.results.summary import RunSummary
from pipeline.system.fault import Fault
from pipeline.system.wording import count

EXIT_CODE = 7


class Condition(NamedTuple):
    """A score that one hit must reach; with `new` only hits that are new, or have risen, since an earlier run count."""

    new: bool
    at_least: float
    since: str = LAST  # or `none`, or a run directory

    def __str__(self) -> str:
        return f"a {'new or risen ' if self.new else ''}hit at or above {self.at_least:g}"


def condition_of(text: str, *, since: str | None = None) -> Condition:
    """Read `new:0.9` or `hit:0.9`. Raises SpecError."""
    match = re.fullmatch(r"(new|hit):([01](?:\.[0-9]{1,6})?)", text)
    if match is None or float(match[2]) > 1:
        what = f"'{text}' is no condition: write new:SCORE or hit:SCORE with a score from 0 to 1"
        raise SpecError(Fault(what, where="--fail-on", fix="--fail-on new:0.9"))
    return Condition(match[1] == "new", float(match[2]), since or LAST)


def matching(folder: Path, condition: Condition, *, only: Callable[[RecordView], bool] | None = None) -> int:
    """Count the products of a run that have such a hit; `only` says which of them count.

    Without an earlier run nothing can be new: then every hit counts, for a first run must not hide any. An item that
    cannot be compared counts by all its hits, too. Raises JournalError where records cannot be read.
    """
    earlier = None
    if condition.new and condition.since != NONE:
        try:
            earlier = read_earlier(earlier_run(folder, condition.since))
        except SpecError:
            if condition.since != LAST:
                raise
    found = 0
    for record in read_records(folder, include_open=True):
        if only is not None and not only(record):
            continue
        line = condition.at_least
        found += any_at_least(scores_of(record), line) if earlier is None else earlier.has_new(record, line)
    return found


def about_matching(number: int, condition: Condition) -> str:
    """Say how many products meet the condition."""
    return f"{count(number, 'product has', 'products have')} {condition} (--fail-on)"


def judged(summary: RunSummary, condition: Condition | None) -> RunSummary:
    """Return the summary with exit code 7 and the reason for it, if products meet the condition.

    A run that ended for another reason than open items keeps its code. What cannot be judged counts as met: nobody
    must take it for nothing new.
    """
    if condition is None or summary.exit_code not in (0, 1):
        return summary
    try:
        number = matching(Path(summary.results).parent, condition)
    except PipelineError as error:
        reason = f"--fail-on could not be judged: {error}"
    else:
        if not number:
            return summary
        reason = about_matching(number, condition)
    return msgspec.structs.replace(summary, exit_code=EXIT_CODE, exit_reason=f"{summary.exit_reason}; {reason}")

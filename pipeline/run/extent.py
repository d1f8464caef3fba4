"""The extent of a run: for how many items anything may be sent, and how many are worked on at once."""

from collections.abc import Mapping

from pipeline.job.schema import JobSpec
from pipeline.models import WAITING, State
from pipeline.run.options import RunOptions
from pipeline.system.open_files import make_room


def to_pay_for(tally: Mapping[State, int], spec: JobSpec, options: RunOptions, *, all_in: bool) -> int:
    """Count the items that something may be sent for; at least one while not all of them are read."""
    doubts = len(options.again.ords) if options.again is not None and options.again.risked else spec.api.duplicates
    waiting = sum(tally.get(state, 0) for state in WAITING) + min(doubts, tally.get(State.IN_DOUBT, 0))
    if spec.awaits_reports:
        waiting += tally.get(State.REPORT_PENDING, 0) + tally.get(State.REPORT_FAILED, 0)
    return waiting if all_in else max(1, waiting)


def most_at_once(spec: JobSpec, options: RunOptions) -> int:
    """Return how many items the system has open files for; say so when the job asks for more."""
    most = make_room(spec.max_in_flight)
    if most < spec.max_in_flight:
        options.say(
            f"only {most:,} of {spec.max_in_flight:,} items at once: this system allows no more open files; "
            f"`ulimit -n` and its hard limit show how many"
        )
    return most

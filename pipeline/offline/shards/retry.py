"""Open items of a cluster run that a person wants to pay for once more: found in all shards, tried again in each."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from pipeline.cluster.directories import Directories
from pipeline.cluster.merge import MANIFEST
from pipeline.cluster.sending import sending
from pipeline.errors import SpecError
from pipeline.journal.collected import has_collection
from pipeline.journal.places import goes_on_with
from pipeline.journal.storage import reading_only
from pipeline.models import OF_REPORT, State
from pipeline.offline.opening import find_run
from pipeline.offline.refresh import unseen
from pipeline.offline.retry import Selection, Wanted, selected
from pipeline.results.summary import RunSummary
from pipeline.results.sums import in_one
from pipeline.run.load import load_again
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions
from pipeline.system.fault import Fault, typed
from pipeline.system.wording import count, listed


class _WithRun(Protocol):
    """A shard that was begun."""

    @property
    def run(self) -> Path:
        """Its run directory."""


_Begun = TypeVar("_Begun", bound=_WithRun)


class OfShard(NamedTuple):
    """The items of a shard that a retry works on."""

    shard: int
    run: Path
    selection: Selection


def select_in_shards(found: Directories, wanted: Wanted) -> list[OfShard]:
    """Find the wanted items, shard by shard. Raises SpecError when some are in doubt that nobody was shown."""
    left = wanted.limit
    chosen = []
    for one in found.each(lambda run: _of_shard(found.folder, run, wanted)):
        if isinstance(one, SpecError):
            raise one
        some = one.selection.candidates[:left]
        left = None if left is None else left - len(some)
        chosen.append(one._replace(selection=replace(one.selection, candidates=some)))
    return chosen


def _of_shard(folder: Path, run: Path, wanted: Wanted) -> OfShard | SpecError:
    """Find the wanted items of a shard; return why nothing may be tried again, which is no fault of the shard's."""
    if wanted.state in OF_REPORT and has_collection(run):
        what = "tasks whose reports were collected are paid for anew in a run that is not split alone"
        return SpecError(Fault(what, where=str(run), fix=""))
    with reading_only(run) as db:
        if wanted.state is State.IN_DOUBT and (new := unseen(run, db, folder)):
            more = count(len(new), "item is", "items are")
            what = f"{more} in doubt that nobody was shown: {listed(new)}. Nothing was sent; look first"
            return SpecError(Fault(what, where=str(folder), fix=typed("report", folder)))
        return OfShard(int(run.parent.name), run, selected(db, wanted, goes_on=goes_on_with(run)))


def in_all(chosen: Sequence[OfShard]) -> Selection:
    """Put the selections of all shards together, to be told."""
    first = chosen[0].selection
    return replace(
        first,
        candidates=[one for of in chosen for one in of.selection.candidates],
        waiting=sum(of.selection.waiting for of in chosen),
    )


def retry_in_shards(
    found: Directories, chosen: Sequence[OfShard], options: RunOptions, overrides: Sequence[str]
) -> RunSummary:
    """Try the items again, one shard after the other; return the summary of these shards."""
    summaries = []
    for first, mine in of_each_account([one for one in chosen if one.selection.candidates]):
        with sending(found.folder, load_again(first.run, overrides=overrides), options) as sender:
            for one in mine:
                with sender.owned(one.shard) as (folder, owned):
                    again = one.selection.again(folder)
                    job = load_again(folder, overrides=overrides)
                    summaries.append(LocalExecutor().run(job, replace(owned, again=again)))
    return summed(found, summaries)


def of_each_account(shards: Sequence[_Begun]) -> list[tuple[_Begun, list[_Begun]]]:
    """Part shards by the account that they belong to; return the first of each beside all of them."""
    parts: dict[str | None, list[_Begun]] = {}
    for one in shards:
        parts.setdefault(find_run(one.run).spec.api.account, []).append(one)
    return [(mine[0], mine) for mine in parts.values()]


def summed(found: Directories, summaries: Sequence[RunSummary]) -> RunSummary:
    """Put the summaries of some shards together."""
    name = found.folder.resolve().name
    return in_one(summaries, run=name, results=str(found.folder / MANIFEST), waiting=0, listed=False)

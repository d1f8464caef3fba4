"""A look at all that a new job lists, as a rehearsal would see it."""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from pipeline.job.schema import JobSpec
from pipeline.models import Item
from pipeline.sources.check import check_sources, find_faulty_items
from pipeline.sources.inspection import MadeFit, Watch
from pipeline.sources.items import read_items
from pipeline.sources.remarks import SourceRemarks
from pipeline.sources.row import Row

_SAMPLES, _FAULTS = 3, 5


class Look(NamedTuple):
    """The outcome of a look.

    first       the first items, as the job reads them
    faults      rows that cannot be used, equal ones once
    remarks     what is left out, or made up, without being a fault
    items       the number of rows, or of pictures where there is no list
    would_help  True if `upload.fit` would mend some of the pictures
    """

    first: Sequence[Item] = ()
    faults: Sequence[str] = ()
    remarks: Sequence[str] = ()
    items: int = 0
    would_help: bool = False


def look_at(spec: JobSpec, watch: Watch | None = None) -> Look:
    """Read all sources through and open every local picture, though nobody has allowed their upload yet.

    `watch` is told how many pictures were opened. Raises SpecError where a source cannot be read.
    """
    trial = spec.rehearsed()
    check_sources(trial)
    remarks, made_fit, counter = SourceRemarks(spec), MadeFit(trial), _Counter(watch)

    def note(index: int, row: Row) -> None:
        counter.rows += 1
        remarks.note(index, row)

    first = list(islice(read_items(trial, contents=False), _SAMPLES))
    faults = find_faulty_items(trial, most=_FAULTS, watch=counter, note=note, made_fit=made_fit)
    said = [*remarks.texts(), *(made_fit.texts() if not (spec.upload.fit or made_fit.would_help) else [])]
    return Look(first, faults, said, counter.rows or counter.pictures, made_fit.would_help)


class _Counter:
    """A watch that keeps the number of pictures, and beside it that of rows."""

    def __init__(self, watch: Watch | None) -> None:
        self.rows = self.pictures = 0
        self._watch = watch

    def __call__(self, seen: int) -> None:
        self.pictures = seen
        if self._watch is not None:
            self._watch(seen)

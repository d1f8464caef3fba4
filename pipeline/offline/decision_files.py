"""Decisions taken over from files that people worked in: exported workbooks, CSV files, downloads of the page.

(What `resolve` decides about items in doubt is another thing: offline/decisions.py.)
"""

import contextlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.errors import JournalError
from pipeline.journal.places import JOURNAL, run_directories
from pipeline.journal.sql.items import find, with_zeros
from pipeline.journal.storage import reading_only
from pipeline.results.decisions import CHOICES, Decision, merged, read_decisions, saved_at, write_decisions
from pipeline.run.decided import decided_in, same
from pipeline.system.wording import count, enumerated, listed


class Taken(NamedTuple):
    """The outcome of taking decisions over."""

    file: Path  # decisions.csv
    said: str  # a phrase: how many of what
    remarks: tuple[str, ...]  # what was not taken, or may not be meant


def take_over(kept: Path, files: list[Path], *, folder: Path | None, by: str) -> Taken:
    """Bring the decisions of files into decisions.csv at `kept`; of two about one hit the later counts.

    `folder` is the run directory that was looked at; None where the job was not run yet.
    """
    before = read_decisions(kept)
    remarks: list[str] = []
    taken: list[Decision] = []
    for file in files:
        at = saved_at(file) if file.is_file() else ""
        found = decided_in(file, by=by, run="" if folder is None else folder.resolve().name)
        found, more = _known(found, folder)
        remarks += more
        taken += [_as_changed(one, before.get(one.key), at, by) for one in found]
    now = merged(before.values(), taken)
    changed = [one for key, one in now.items() if not same(one, before.get(key, Decision(item="")))]
    if changed:
        write_decisions(kept, now.values())
    return Taken(kept, _said(changed, now), (*remarks, *_not_taken(taken, now)))


def _as_changed(one: Decision, before: Decision | None, at: str, by: str) -> Decision:
    """Return a decision that was written over another one, whose time stands beside it still, as decided now."""
    if before is None or same(one, before) or one.at[:19] != before.at[:19]:
        return one
    return msgspec.structs.replace(one, at=at, by=by or one.by)


def _known(found: list[Decision], folder: Path | None) -> tuple[list[Decision], list[str]]:
    """Give ids the zeros back that a spreadsheet took from them, and tell of items that the run does not know."""
    known = None if folder is None else _ids_in(folder, {one.item for one in found})
    if known is None:
        return found, []
    ids = {one.item: known.get(one.item) for one in found}
    mended = {item: id_ for item, id_ in ids.items() if id_ not in (None, item)}
    unknown = [item for item, id_ in ids.items() if id_ is None]
    remarks = []
    if mended:
        named = listed([f"{item} is {id_}" for item, id_ in mended.items()])
        remarks.append(f"{count(len(mended), 'id')} had lost zeros to a spreadsheet: {named}")
    if unknown:
        are = count(len(unknown), "product is", "products are")
        remarks.append(f"{are} not in this run, and decided about all the same: {listed(unknown)}")
    return [msgspec.structs.replace(one, item=ids[one.item] or one.item) for one in found], remarks


def _ids_in(folder: Path, items: set[str]) -> dict[str, str] | None:
    """Find the ids that are meant, in all run directories of a folder; None where no journal can be read."""
    same: set[str] = set()
    longer: dict[str, set[str]] = {}
    read = False
    for run in run_directories(folder):
        if (run / JOURNAL).is_file():
            with contextlib.suppress(JournalError), reading_only(run) as db:
                same |= {item for item in items - same if find(db, item) is not None}
                for item in filter(str.isdecimal, items - same):
                    longer.setdefault(item, set()).update(with_zeros(db, item))
                read = True
    alike = {item: next(iter(ids)) for item, ids in longer.items() if len(ids) == 1}
    return {**alike, **{item: item for item in same}} if read else None


def _said(changed: list[Decision], now: dict[tuple[str, str], Decision]) -> str:
    words = Counter(one.decision for one in changed)
    parts = [f"{words[word]:,} {word}" for word in CHOICES if words[word]]
    parts += [f"{words['']:,} without a decision (taken back, or a note alone)"] if words[""] else []
    return (
        f"{count(len(changed), 'change')}{': ' if parts else ''}{enumerated(parts) if parts else ''}; {standing(now)}"
    )


def standing(now: dict[tuple[str, str], Decision]) -> str:
    """Say how many decisions stand."""
    words = Counter(one.decision for one in now.values() if one.decision)
    parts = [f"{words[word]:,} {word}" for word in CHOICES if words[word]]
    stand = count(words.total(), "decision stands", "decisions stand")
    return f"{stand}: {enumerated(parts)}" if parts else stand


def _not_taken(taken: list[Decision], now: dict[tuple[str, str], Decision]) -> list[str]:
    older = [one for one in taken if not same(one, now[one.key])]
    if not older:
        return []
    named = listed([f"{one.item} {one.patent_pn} ({one.decision or 'nothing'} at {one.at[:16]})" for one in older])
    return [f"{count(len(older), 'row is', 'rows are')} older than what stands and changed nothing: {named}"]

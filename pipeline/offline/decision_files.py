"""Decisions taken over from files that people worked in: exported workbooks, CSV files, downloads of the page.

(What `resolve` decides about items in doubt is another thing: offline/decisions.py.)
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.errors import JournalError
from pipeline.journal.places import JOURNAL
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.items import find, with_zeros
from pipeline.journal.storage import reading_only
from pipeline.results.decisions import CHOICES, Decision, merged, read_decisions, write_decisions
from pipeline.run.decided import decided_in, same
from pipeline.system.clock import iso
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
        at = iso(file.stat().st_mtime) if file.is_file() else ""
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
    if folder is None or not (folder / JOURNAL).is_file():
        return found, []
    try:
        with reading_only(folder) as db:
            ids = {one.item: _id_of(db, one.item) for one in found}
    except JournalError:
        return found, []
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


def _id_of(db: Database, item: str) -> str | None:
    if find(db, item) is not None:
        return item
    alike = with_zeros(db, item) if item.isdecimal() else []
    return alike[0] if len(alike) == 1 else None


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

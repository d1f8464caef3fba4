"""Decisions of people about hits: watch, escalate or dismiss, in a file decisions.csv beside the job.

(What `resolve` decides about items in doubt is another thing: offline/decisions.py.)

    decided = read_decisions(spec.folder / DECISIONS)  # {} where there is no file; SpecError names each bad row
    one = decided.get((item, patent_pn))               # None, or a Decision; its `decision` is "" for a note alone
    decided = merged(decided.values(), others)         # of two about one hit the one with the later `at` counts
    write_decisions(path, decided.values())

A file has the columns item, patent_pn, decision, by, at, note, run, in any order and case, divided by commas,
semicolons or tabs, with or without BOM; only item, patent_pn and decision must be there. Columns that are not ours are
kept. A row about the product as a whole names no patent. A decision that is taken back is an empty one with an `at`.
"""

import csv
import io
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.errors import SpecError
from pipeline.results.cells import meant, neutral, visible
from pipeline.system.clock import iso
from pipeline.system.fault import Fault, Gathered
from pipeline.system.files import write_whole

DECISIONS = "decisions.csv"
CHOICES = ("watch", "escalate", "dismiss")
COLUMNS = ("item", "patent_pn", "decision", "by", "at", "note", "run")
_MUST = COLUMNS[:3]
# A workbook shows its columns by other names, and keeps in hidden ones what it was made with.
_SHOWN_AS = {"patent number": "patent_pn", "decided by": "by", "decided at": "at", "decided in": "run"}
DECISION_WAS, NOTE_WAS = "decision_was", "note_was"
_HIDDEN = (DECISION_WAS, NOTE_WAS)
_FAULTS_TOLD = 20
_AHEAD_S = 86_400.0  # another machine's clock, or zone, may be ahead of ours by less than a day
_LONGEST = 10_000_000  # characters of a cell; the csv module's own limit is lower than what Excel holds


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision about one hit of one product."""

    item: str  # the item's id
    patent_pn: str = ""  # of the hit; "" for the product as a whole
    decision: str = ""  # watch, escalate or dismiss; "" where there is only a note, or it was taken back
    by: str = ""  # who decided
    at: str = ""  # when: ISO 8601 in UTC, or a day
    note: str = ""
    run: str = ""  # the name of the run directory that was looked at
    more: dict[str, str] = {}  # further columns of decisions.csv, as they were

    @property
    def key(self) -> tuple[str, str]:
        """The hit that it is about; the same over all runs."""
        return self.item, self.patent_pn


class Defaults(NamedTuple):
    """The values for rows that leave them out, and the zone of their times."""

    at: str  # for a row that says no time, and one that was changed: when its file was saved, ISO 8601 in UTC
    by: str = ""  # for the same rows: who
    run: str = ""  # for all rows that say none
    utc: bool = False  # whether a time without a zone is in UTC, as those of a workbook are


def read_decisions(path: Path) -> dict[tuple[str, str], Decision]:
    """Read decisions.csv: by hit, the last decision about each. Raises SpecError that names every bad row."""
    return merged(read_table(path, keep=True))


def read_table(path: Path, *, by: str = "", run: str = "", keep: bool = False) -> list[Decision]:
    """Read the decisions of a CSV file; none where it is not there. With `keep` also the columns that are not ours."""
    try:
        data = path.read_bytes()
        defaults = Defaults(saved_at(path), by, run)
    except FileNotFoundError:
        if not path.is_symlink():
            return []
        raise SpecError(Fault("this is a link, and the file that it leads to is not there", where=str(path))) from None
    except OSError as exc:
        raise SpecError(Fault(f"cannot be read: {exc.strerror}", where=str(path))) from None
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        return decisions_in(_rows(path, text), defaults, keep=keep) if text.strip() else []
    except (csv.Error, UnicodeError) as exc:
        what = f"this is not CSV in UTF-8: {exc}; save it as `CSV UTF-8`, or as a workbook (.xlsx)"
        raise SpecError(Fault(what, where=str(path))) from None


def saved_at(path: Path) -> str:
    """Return when a file was saved, as `Decision` writes times; now where that is still to come. Raises OSError."""
    return iso(min(path.stat().st_mtime, time.time()))


def _rows(path: Path, text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of a CSV text with their places, as they were before a spreadsheet was kept from running them."""
    before = csv.field_size_limit(_LONGEST)  # one for the whole process: a manifest has a limit of its own
    try:
        header = text.partition("\n")[0]
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
        rows = [(f"{path}:{reader.line_num}", [meant(cell) for cell in row]) for row in reader]
    finally:
        csv.field_size_limit(before)
    yield from rows


def decisions_in(
    rows: Iterable[tuple[str, Sequence[str]]], defaults: Defaults, *, keep: bool = False
) -> list[Decision]:
    """Read decisions from a table: rows with their places, its header the first. Raises SpecError that names bad rows.

    A row without decision, note and time is none. Of a workbook that remembers what it was made with, a row that
    nobody changed keeps its time.
    """
    rows = iter(rows)
    place, header = next(rows, ("", []))
    names = _names(place, header)
    found, faults = [], Gathered()
    for place, row in rows:
        cells = {name: cell.strip() for name, cell in zip(names, row, strict=False) if name}
        if not any(cells.values()):
            continue
        one = _decision(cells, defaults, keep=keep)
        faulty = _fault(one, cells, defaults)
        if faulty:
            faults.add(Fault(faulty, where=place))
        elif one is not None:
            found.append(one)
    if lines := faults.lines(_FAULTS_TOLD):
        raise SpecError(*lines, "nothing was taken")
    return found


def has_columns(header: Sequence[str]) -> bool:
    """Return whether a row is the header of a table with decisions."""
    return all(name in _named(header) for name in _MUST)


def _names(place: str, header: Sequence[str]) -> list[str]:
    names = _named(header)
    if missing := [name for name in _MUST if name not in names]:
        what = f"no column {', '.join(missing)}; the columns are {', '.join(COLUMNS)}"
        raise SpecError(Fault(what, where=place, fix=",".join(COLUMNS)))
    return names


def _named(header: Sequence[str]) -> list[str]:
    """Name the columns as `Decision` does; the first of several with one name counts."""
    names: list[str] = []
    for cell in header:
        shown = " ".join(cell.strip().lower().split())
        name = _SHOWN_AS.get(shown, shown)
        name = name if name in (*COLUMNS, *_HIDDEN) else cell.strip()
        names.append("" if name in names else name)
    return names


def _decision(cells: dict[str, str], defaults: Defaults, *, keep: bool) -> Decision | None:
    """Build the decision of a row; None where it holds none."""
    decision, note = cells["decision"].lower(), cells.get("note", "")
    at, by = _time(cells.get("at", ""), utc=defaults.utc), cells.get("by", "")
    before = [cells.get(name) for name in _HIDDEN]
    changed = None not in before and before != [decision, note]
    if changed:
        at, by = defaults.at, defaults.by or by
    elif not decision and not note and not at:
        return None
    more = {name: cell for name, cell in cells.items() if name not in (*COLUMNS, *_HIDDEN)} if keep else {}
    return Decision(
        item=cells["item"],
        patent_pn=cells["patent_pn"],
        decision=decision,
        by=by or defaults.by,
        at=at or defaults.at,
        note=note,
        run=cells.get("run", "") or defaults.run,
        more=more,
    )


def _fault(one: Decision | None, cells: dict[str, str], defaults: Defaults) -> str:
    """Say what is wrong with a row; "" where nothing is."""
    if one is None:
        return ""
    if not one.item:
        return "no item: the product's id is missing"
    if one.decision and one.decision not in CHOICES:
        return f"decision {cells['decision']!r} is not allowed; allowed: {', '.join(CHOICES)}, or nothing"
    if not one.at[:4].isdecimal():
        return f"at: {cells['at']!r} is no time; write it as 2026-11-21, or 2026-11-21 10:00"
    if one.at != defaults.at and _earlier(iso(time.time() + _AHEAD_S), one.at):
        return f"at: {cells['at']!r} is still to come, and no decision after it would count; write when it was made"
    return ""


def _time(text: str, *, utc: bool) -> str:
    """Write a time as ISO 8601 in UTC, a day as it is; one without a zone is that of this machine, or `utc`.

    A text that is no time comes back as it is, behind a mark that `_fault` sees.
    """
    if not text:
        return ""
    try:
        at = datetime.fromisoformat(text.replace("/", "-"))
        at = at.replace(tzinfo=UTC) if utc and at.tzinfo is None else at
        return at.date().isoformat() if len(text) <= len("2026-11-21") else iso(at.timestamp())
    except (ValueError, OverflowError, OSError):
        return f"?{text}"


def merged(*many: Iterable[Decision]) -> dict[tuple[str, str], Decision]:
    """Bring decisions together, by hit: the one with the later `at` counts, of equal ones the one given later.

    A day counts as the same time as every hour of it.
    """
    found: dict[tuple[str, str], Decision] = {}
    for decisions in many:
        for one in decisions:
            before = found.get(one.key)
            if before is None or not _earlier(one.at, before.at):
                found[one.key] = one if before is None else _with_more(one, before)
    return found


def _earlier(at: str, other: str) -> bool:
    most = min(len(at), len(other))
    return at[:most] < other[:most]


def _with_more(one: Decision, before: Decision) -> Decision:
    return msgspec.structs.replace(one, more={**before.more, **one.more}) if before.more else one


def write_decisions(path: Path, decisions: Iterable[Decision]) -> None:
    """Write decisions.csv, whole or not at all: UTF-8 with a BOM, by which Excel knows it; no cell is a formula."""
    listed = list(decisions)
    more = list(dict.fromkeys(name for one in listed for name in one.more))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *map(neutral, more)])
    for one in listed:
        cells = [*(getattr(one, name) for name in COLUMNS), *(one.more.get(name, "") for name in more)]
        writer.writerow([neutral(visible(cell)) for cell in cells])
    write_whole(path, text.getvalue().encode("utf-8-sig", "replace"))

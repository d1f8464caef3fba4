"""Decisions about hits where people leave them: beside the job, in an exported workbook, in a file of the page.

(What `resolve` decides about items in doubt is another thing: offline/decisions.py.)
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import SpecError
from pipeline.job.checks import WORKBOOK_ENDINGS
from pipeline.job.schema import JobSpec
from pipeline.results.decisions import (
    DECISIONS,
    Decision,
    Defaults,
    decisions_in,
    has_columns,
    read_decisions,
    read_table,
    saved_at,
)
from pipeline.sources.workbook_rows import tables_in
from pipeline.system.fault import Fault, Gathered

_FAULTS_TOLD = 20


def decided_beside(spec: JobSpec) -> list[Decision]:
    """Read the decisions beside a job; none where its decisions.csv is one for `resolve`. Raises SpecError."""
    beside = spec.folder / DECISIONS
    return [] if _is_for_resolve(beside) else list(read_decisions(beside).values())


def _is_for_resolve(path: Path) -> bool:
    """Return whether a file is one for `pipeline resolve --from`, whose name people choose as freely."""
    try:
        with path.open("rb") as file:
            header = file.readline(4096).decode("utf-8-sig", "replace")
    except OSError:  # there is none, or it cannot be read, and whoever reads its decisions says so
        return False
    names = re.split(r"[,;\t]", header.strip().lower())
    return "task_id" in names and "item" not in names


def decided_in(file: Path, *, by: str, run: str) -> list[Decision]:
    """Read the decisions in a workbook or a CSV file. Raises SpecError that names bad rows."""
    if not file.is_file():
        raise SpecError(Fault("there is no such file of decisions", where=str(file)))
    if not file.name.lower().endswith(WORKBOOK_ENDINGS):
        return read_table(file, by=by, run=run)
    defaults = Defaults(saved_at(file), by, run, utc=True)
    tables = [rows for rows in _tables(file) if has_columns(rows[0][1])]
    if not tables:
        what = "no sheet has the columns Item, Patent number and Decision, as those of `pipeline export` have"
        raise SpecError(Fault(what, where=str(file)))
    found = [one for rows in tables for one in decisions_in(rows, defaults)]
    _refuse_two(found, defaults, file)
    return found


def _tables(file: Path) -> Iterator[list[tuple[str, list[str]]]]:
    for name, rows in tables_in(file):
        if rows:
            yield [(f"{file}:{name}!{number}", cells) for number, cells in rows]


def _refuse_two(found: list[Decision], defaults: Defaults, file: Path) -> None:
    """Raise SpecError if a workbook was changed in two places that say different things about one hit."""
    first: dict[tuple[str, str], Decision] = {}
    faults = Gathered()
    for one in found:
        other = first.setdefault(one.key, one) if one.at == defaults.at else one
        if not same(one, other):
            words = f"{other.decision or 'nothing'!r} and {one.decision or 'nothing'!r}"
            faults.add(Fault(f"two rows say different things ({words}); write the same in both", where=_hit(file, one)))
    if lines := faults.lines(_FAULTS_TOLD):
        raise SpecError(*lines, "nothing was taken")


def _hit(file: Path, one: Decision) -> str:
    return f"{file}, {one.item} {one.patent_pn}".rstrip()


def same(one: Decision, other: Decision) -> bool:
    """Return whether two decisions say the same."""
    return (one.decision, one.note) == (other.decision, other.note)

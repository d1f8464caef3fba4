"""Decisions about items in doubt as a person writes them: by options of `resolve`, or in a CSV file."""

import csv
import re
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import SpecError
from pipeline.system.fault import Fault

CREATED, NOT_CREATED, RETRY = "created", "not-created", "retry"
_COLUMNS = ("id", "decision", "task_id")
_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{5,127}")


class Decision(NamedTuple):
    """A decision about one item."""

    id: str  # of the item
    decision: str  # created, not-created or retry
    task_id: str | None  # of the task that the vendor has; None unless created
    origin: str  # where it was written: `--created`, `decisions.csv:3`


def read_decisions(path: Path) -> list[Decision]:
    """Read a CSV with the columns id, decision, task_id. Raises SpecError that names every bad row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            if missing := [name for name in _COLUMNS if name not in header]:
                comma = "; the separator must be a comma" if len(header) == 1 and re.search("[;\t|]", header[0]) else ""
                named = f"no column {', '.join(missing)}; the columns are {', '.join(_COLUMNS)}"
                raise SpecError(Fault(f"{named}{comma}", where=f"{path}:1", fix=",".join(_COLUMNS)))
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except OSError as exc:
        raise SpecError(Fault(f"cannot be read: {exc.strerror}", where=str(path))) from None
    except (csv.Error, UnicodeError) as exc:
        raise SpecError(Fault(f"this is not CSV in UTF-8: {exc}", where=str(path))) from None
    decisions: list[Decision] = []
    faults: list[str] = []
    for number, row in rows:
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        origin = f"{path}:{number}"
        decision = Decision(cells.get("id", ""), cells.get("decision", ""), cells.get("task_id") or None, origin)
        decisions.append(decision)
        wrong_width = len(row) != len(header)
        faults += [Fault(fault, where=origin) for fault in _row_faults(decision, wrong_width=wrong_width)]
    if faults:
        raise SpecError(*faults, "nothing was applied")
    return decisions


def _row_faults(decision: Decision, *, wrong_width: bool) -> list[str]:
    faults = ["this row has more or fewer cells than the header"] if wrong_width else []
    if not decision.id:
        faults.append("no id")
    if decision.decision not in (CREATED, NOT_CREATED, RETRY):
        faults.append(f"decision {decision.decision!r} is not allowed; allowed: {CREATED}, {NOT_CREATED}, {RETRY}")
    elif (decision.decision == CREATED) != (decision.task_id is not None):
        wants = "needs its task_id" if decision.decision == CREATED else "takes no task_id"
        faults.append(f"{decision.decision} {wants}")
    elif fault := task_id_fault(decision.task_id):
        faults.append(fault)
    return faults


def task_id_fault(task_id: str | None) -> str | None:
    """Say why a text is no task id (an option that was taken for one, say); None when it is one, or there is none."""
    if task_id is None or _TASK_ID.fullmatch(task_id):
        return None
    return f"{task_id!r} is no task id: 6 to 128 letters, digits and _.:- after a letter or digit"

"""The calls of this process by the hour in which they were sent and by path: what a statement of account counts.

Hours, because a day of the vendor's begins at another moment than a day here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.models import Kind

HOUR_S = 3600


@dataclass(slots=True, eq=False)
class Cell:
    """The calls of one hour and path since they were last taken. Not frozen: it counts up.

    granted  answered as asked
    refused  answered with a code that says that nothing was executed; of all others nobody knows
    """

    sent: int = 0
    granted: int = 0
    refused: int = 0


class Counted(NamedTuple):
    """The calls of one hour (since the epoch) and path that came since the last time."""

    hour: int
    path: str
    kind: Kind
    sent: int
    granted: int
    refused: int


class Tally:
    """The counts of one process, which calls as `account`. An answer counts in the hour in which its call was sent."""

    def __init__(self, account: str = "", wall: Callable[[], float] = time.time) -> None:
        self.account = account
        self._wall = wall
        self._cells: dict[tuple[int, str, Kind], Cell] = {}

    def sent(self, path: str, kind: Kind) -> Cell:
        """Count a call that is about to leave; return where its answer is counted."""
        key = (int(self._wall()) // HOUR_S, path, kind)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Cell()
        cell.sent += 1
        return cell

    def taken(self) -> list[Counted]:
        """Give out what was counted since the last time."""
        counted = []
        for key, cell in self._cells.items():
            if cell.sent or cell.granted or cell.refused:
                counted.append(Counted(*key, cell.sent, cell.granted, cell.refused))
                cell.sent = cell.granted = cell.refused = 0
        return counted

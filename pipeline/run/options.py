"""Options of one run."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.calls.account import Busy
from pipeline.models import Kind
from pipeline.run.begin import Again
from pipeline.run.progress import Observer


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a job is run: `new` starts another run directory, `limit` begins at most so many items.

    `busy` and `share` say what to do about other processes with the same account (see account.py), `wait_quota` waits
    for the daily limit to be lifted instead of ending. `say` is told what a person should read at once. `on_sent` is
    told the loop's time of every paid call, the moment its headers go out.
    """

    new: bool = False
    limit: int | None = None
    accept_changes: bool = False
    again: Again | None = None
    busy: Busy = "exit"
    share: float = 1.0
    wait_quota: bool = False
    say: Callable[[str], None] = lambda _: None
    observer: Observer | None = None
    on_sent: Callable[[Kind, float], None] | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

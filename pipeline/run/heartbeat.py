"""Chores of a run that recur a few times a second: show it, notice clock jumps, watch the disk, note the calls."""

import logging
from collections.abc import Callable
from pathlib import Path

import anyio

from pipeline.calls.client import Client
from pipeline.engine.engine import Engine
from pipeline.errors import JournalError
from pipeline.journal.emergency import require_room
from pipeline.journal.journal import Journal
from pipeline.models import WAITING
from pipeline.system.clock import Clocks, Ticks

EVERY_S = 0.25
NOTE_CALLS_EVERY = 4  # beats

_log = logging.getLogger(__name__)


class Heartbeat:
    """The chores of one run in `folder`."""

    def __init__(
        self,
        engine: Engine,
        client: Client,
        journal: Journal,
        *,
        folder: Path,
        clocks: Clocks | None = None,
    ) -> None:
        self._engine = engine
        self._client = client
        self._journal = journal
        self._folder = folder
        self._ticks = Ticks(clocks or Clocks())
        self._disk_checked = False

    async def run(self, show: Callable[[], None]) -> None:
        """Do the chores and call `show`, until cancelled."""
        beats = 0
        while True:
            show()
            self.notice_clock_jumps()
            self._check_disk()
            if beats % NOTE_CALLS_EVERY == 0:
                self.note_calls()
            beats += 1
            await anyio.sleep(EVERY_S)

    def notice_clock_jumps(self) -> None:
        """Tell the client after a step of the clock or a sleep: tokens and connections may be older than they seem."""
        jump = self._ticks.tick()
        if jump is not None:
            _log.warning("clock.jumped step_s=%.1f gap_s=%.1f", jump.step_s, jump.gap_s)
            self._client.clock_jumped()

    def _check_disk(self) -> None:
        """Once all items are in, end the run in good order if the disk cannot take the results of those that wait."""
        if self._disk_checked or not self._engine.all_in:
            return
        items = self._engine.items()
        try:
            require_room(self._folder, sum(items[state] for state in WAITING))
        except JournalError as error:
            self._engine.drain(error)
        except OSError as exc:  # the directory was taken away: the journal ends the run, and calls under way are kept
            _log.warning("disk.not_checked error=%s", exc.strerror)
        self._disk_checked = True

    def note_calls(self) -> None:
        """Let the counts of calls and the billed units follow to disk; also once at the end of a run."""
        try:
            self._journal.budget.note_calls(self._client.stats.units)
            tally = self._client.stats.tally
            self._journal.note_sent(tally.account, tally.taken())
        except JournalError as error:  # calls under way must still be waited for: the engine ends the run
            self._engine.journal_failed(error)

"""A run while it goes on: a block that stays in place on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.cli.errors import printable
from pipeline.engine.causes import Cause
from pipeline.models import OPEN, SETTLED, Kind, State
from pipeline.run.collect_by import clock_time
from pipeline.run.progress import Flow, Progress
from pipeline.system.language import translated
from pipeline.system.wording import count, duration

PLAIN_EVERY_S = 10.0
BAR = 41  # characters
_TOLD_AGAIN = 10  # a cause is told at its first item, then at ten times as many, and so on
_PREPARING = "preparing the sandbox's gallery, once"


def counts(progress: Progress) -> dict[str, int]:
    """Count items by word; they add up to all that are in so far."""
    items = progress.items
    words = {state.word.replace("_", " "): items[state] for state in (*SETTLED, *OPEN)}
    waiting = sum(items.values()) - sum(words.values())
    begun = min(progress.in_flight, waiting)
    found = {word: number for word, number in words.items() if number}
    found |= {"under way": begun} if begun else {}
    return found | ({"not started": waiting - begun} if waiting > begun or not found else {})


def ended(progress: Progress) -> int:
    """Count the items that came to an end: settled, or open for another reason than a report that is to come."""
    return sum(progress.items[state] for state in (*SETTLED, *OPEN) if state is not State.REPORT_PENDING)


def one_line(progress: Progress) -> str:
    """Write the whole picture as one plain line."""
    parts = [f"{number:,} {word}" for word, number in counts(progress).items()]
    parts += [_flow(kind, flow) for kind, flow in progress.flows.items() if flow.sent]
    parts += [str(progress.money)] if progress.money else []
    parts += [text for text in (_left(progress), _reports(progress), *_hindrances(progress)) if text]
    return f"{duration(progress.elapsed_s)}: " + "; ".join(parts)


def block(progress: Progress, *, now: float, letters: str = "utf-8") -> list[str]:
    """Write the picture as the lines of a block: name, bar, counts, calls and money, the end and what binds it.

    now      seconds since the epoch
    letters  the encoding of the screen: without UTF-8 the bar is drawn in ASCII
    """
    rich_letters = letters.lower().replace("-", "") == "utf8"
    clock = datetime.fromtimestamp(now).astimezone()
    lines = [
        f"{progress.run}   {progress.vendor}   {clock:%H:%M:%S}",
        _bar(progress, *("\u2588\u2591" if rich_letters else "#.")),
        (" \u00b7 " if rich_letters else ", ").join(f"{number:,} {word}" for word, number in counts(progress).items()),
        "   ".join(_flow(kind, flow) for kind, flow in progress.flows.items() if flow.sent or kind is Kind.SEARCH),
    ]
    lines += [f"money {progress.money}"] if progress.money else []
    lines.append(_end(progress, now))
    return [*lines, *([_reports(progress)] if progress.collect_by is not None else [])]


def _bar(progress: Progress, full: str, empty: str) -> str:
    done, total = ended(progress), sum(progress.items.values())
    if not progress.all_in or not total:
        return f"{done:,} of {total:,} that are read so far"
    filled = done * BAR // total
    # Rounded down: 100 % is said only when nothing is left.
    return f"{full * filled}{empty * (BAR - filled)}  {100 * done // total} %   {done:,} of {total:,}"


def _end(progress: Progress, now: float) -> str:
    """Say by the clock when the run is expected to end; before anybody can tell, how long it goes on."""
    if progress.left_s is None:
        return f"since {duration(progress.elapsed_s)}"
    when = datetime.fromtimestamp(now + progress.left_s).astimezone()
    clock = f"{when:%H:%M:%S}" if progress.left_s < 43_200 else f"{when:%Y-%m-%d %H:%M}"
    return f"ends about {clock} ({duration(progress.left_s)}): bound by {progress.binds}"


def _left(progress: Progress) -> str:
    if progress.left_s is None:
        return ""
    return f"about {duration(progress.left_s)} left, bound by {progress.binds}"


def _reports(progress: Progress) -> str:
    return "" if progress.collect_by is None else f"`pipeline collect` must start by {clock_time(progress.collect_by)}"


def _hindrances(progress: Progress) -> list[str]:
    """Say why nothing is sent, and why the run is ending; [] while all goes well."""
    return [text for text in (_pause(progress), f"ending: {progress.ending}" if progress.ending else "") if text]


def _pause(progress: Progress) -> str:
    """Describe the pause of all calls, or return "" while calls go."""
    if progress.waits_until is not None:
        if progress.paused_s <= 1:
            return "calls wait for the day's limit to be lifted; one is on its way to see"
        when = datetime.fromtimestamp(progress.waits_until).astimezone()
        return f"calls wait for the day's limit to be lifted, until {when:%Y-%m-%d %H:%M %Z}"
    if progress.unreachable:
        return f"the vendor cannot be reached; next try in {duration(progress.paused_s)}"
    return f"all calls pause for {duration(progress.paused_s)}" if progress.paused_s > 1 else ""


def _flow(kind: Kind, flow: Flow) -> str:
    slowed = f", slowed to {flow.slowed_to_per_s:.1f}" if flow.slowed_to_per_s < flow.limit_per_s else ""
    budget = f", {flow.spent:,} of {flow.budget:,}" if flow.budget is not None else f", {count(flow.sent, 'call')}"
    return f"{kind.value} {flow.per_s:.1f}/s of {flow.limit_per_s:g}{slowed}{budget}"


class Problems:
    """The causes for which items stayed open, each told once, and again when ten times as many items share it."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], int] = {}

    def new(self, causes: tuple[Cause, ...]) -> list[str]:
        """Return the lines that are due now."""
        lines = []
        for cause in causes:
            key = cause.state.word, cause.code
            if cause.items < self._told.get(key, 1):
                continue
            self._told[key] = 10 ** len(str(cause.items))
            word = cause.state.word.replace("_", " ")
            if cause.items < _TOLD_AGAIN:
                lines.append(printable(f"{word}: {cause.item}: {cause.message}"))
            else:
                lines.append(
                    printable(f"{word}: {cause.items:,} items by now, code {cause.code}; the first: {cause.item}")
                )
        return lines


class PlainLines:
    """A line every ten seconds, for logs and schedulers; problems at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next = time.monotonic() + PLAIN_EVERY_S
        self._problems = Problems()

    def prepare(self, done: int, total: int) -> None:
        """Say once that the sandbox's gallery is prepared."""
        if not done:
            self._print(f"{_PREPARING}: {count(total, 'drawing')}")

    def update(self, progress: Progress) -> None:
        """Print new problems, and a line when it is time."""
        for line in self._problems.new(progress.causes):
            self._print(line)
        if time.monotonic() >= self._next:
            self._next += PLAIN_EVERY_S
            self._print(one_line(progress))

    def _print(self, line: str) -> None:
        print(translated(line), file=self._stream, flush=True)


class LiveBlock:
    """A block that stays in place on a terminal; problems scroll above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._problems = Problems()

    def __enter__(self) -> "LiveBlock":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def prepare(self, done: int, total: int) -> None:
        """Draw how far the preparation of the sandbox's gallery is."""
        self._live.update(Text(translated(f"{_PREPARING}: {done:,} of {count(total, 'drawing')}")))

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the block off the screen until the context ends."""
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def update(self, progress: Progress) -> None:
        """Draw the run as it is now."""
        for line in self._problems.new(progress.causes):
            self._console.print(Text(translated(line)), soft_wrap=True)
        now = time.time()
        head, *lines = block(progress, now=now, letters=self._console.encoding)
        self._live.update(
            Group(
                _head(progress, head),
                *(Text(translated(line)) for line in lines),
                *(Text(translated(text), style="yellow") for text in _hindrances(progress)),
            )
        )


def _head(progress: Progress, line: str) -> Table:
    """Draw the first line with the clock at the right edge."""
    head = Table.grid(expand=True)
    head.add_column()
    head.add_column(justify="right")
    name = Text.assemble((progress.run, "bold"), f"   {translated(progress.vendor)}")
    head.add_row(name, Text(line.rpartition(" ")[2], style="dim"))
    return head

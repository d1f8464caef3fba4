"""How a run looks on a terminal, in a log, and at its end."""

import sys
import time
from collections.abc import Iterable
from datetime import datetime
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.models import OPEN, SETTLED, Kind, State
from pipeline.results.summary import RunSummary
from pipeline.run.progress import Flow, Progress
from pipeline.system.wording import duration

PLAIN_EVERY_S = 10.0


def counts(progress: Progress) -> dict[str, int]:
    """Items in words; they add up to all that are in so far."""
    items = progress.items
    words = {state.word.replace("_", " "): items[state] for state in SETTLED if items[state] or state is State.TASKED}
    open_ = sum(items[state] for state in OPEN)
    begun = progress.in_flight
    rest = sum(items.values()) - sum(words.values()) - open_
    return {**words, "open": open_, "in flight": min(begun, rest), "not started": max(0, rest - begun)}


def one_line(progress: Progress) -> str:
    """The whole picture as one plain line."""
    parts = [f"{count:,} {word}" for word, count in counts(progress).items()]
    parts += [f"{kind.value} {_flow(flow)}" for kind, flow in progress.flows.items() if flow.sent]
    if progress.left_s is not None:
        parts.append(f"about {duration(progress.left_s)} left, bound by {progress.binds}")
    if waits := _waits(progress):
        parts.append(waits)
    if progress.ending:
        parts.append(f"ending: {progress.ending}")
    return f"{duration(progress.elapsed_s)}: " + "; ".join(parts)


def _waits(progress: Progress) -> str:
    """That no call goes, and until when; empty while calls go."""
    if progress.waits_until is not None:
        if progress.paused_s <= 1:
            return "calls wait for the day's limit to be lifted; one is on its way to see"
        when = datetime.fromtimestamp(progress.waits_until).astimezone()
        return f"calls wait for the day's limit to be lifted, until {when:%Y-%m-%d %H:%M %Z}"
    return f"all calls rest for {duration(progress.paused_s)}" if progress.paused_s > 1 else ""


def _flow(flow: Flow) -> str:
    slowed = f", slowed to {flow.slowed_to_per_s:.1f}" if flow.slowed_to_per_s < flow.limit_per_s else ""
    budget = f", {flow.spent:,} of {flow.budget:,} spent" if flow.budget is not None else ""
    return f"{flow.sent:,} calls at {flow.per_s:.1f}/s of {flow.limit_per_s:g}/s{slowed}{budget}"


class PlainLines:
    """A line every ten seconds, for logs and schedulers."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next = time.monotonic() + PLAIN_EVERY_S

    def update(self, progress: Progress) -> None:
        """Print a line when it is time."""
        if time.monotonic() >= self._next:
            self._next += PLAIN_EVERY_S
            print(one_line(progress), file=self._stream, flush=True)


class LiveTable:
    """A small table that stays in place, for a terminal."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "LiveTable":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, progress: Progress) -> None:
        """Draw the run as it is now."""
        words = Text("  ").join(
            Text.assemble((f"{count:,}", "bold"), f" {word}") for word, count in counts(progress).items()
        )
        calls = Table.grid(padding=(0, 2))
        for kind, flow in progress.flows.items():
            if flow.sent or kind is Kind.SEARCH:
                calls.add_row(Text(kind.value, style="dim"), Text(_flow(flow)))
        left = "" if progress.left_s is None else f", about {duration(progress.left_s)} left, bound by {progress.binds}"
        last = Text(f"{duration(progress.elapsed_s)}{left}", style="dim")
        lines: list[RenderableType] = [words, calls, last]
        if waits := _waits(progress):
            lines.append(Text(waits, style="yellow"))
        if progress.ending:
            lines.append(Text(f"ending: {progress.ending}", style="yellow"))
        self._live.update(Group(*lines))


def show_summary(summary: RunSummary, console: Console) -> None:
    """The short table at the end, and where to look."""
    words = ("tasked", "no_hits", "searched", "failed", "in_doubt", "expired", "not_started", "all")
    rows = [(word.replace("_", " "), f"{summary.items[word]:,}") for word in words if summary.items[word]]
    show_rows(rows, console)
    calls = ", ".join(f"{spent.sent:,} {kind}" for kind, spent in summary.calls.items())
    unknown = sum(spent.unknown for spent in summary.calls.values())
    more = f", and up to {unknown:,} when the process was killed" if unknown else ""
    who = "the sandbox" if summary.vendor == "sandbox" else summary.vendor
    show_lines([f"calls so far: {calls}{more}; {who} billed {summary.units_billed:g} units"], console)
    if summary.vendor == "sandbox":
        show_lines(["These results come from the sandbox's drawn gallery, not from a patent database."], console)
    show_lines([*summary.warnings, *(f"Not looked at: {what}" for what in summary.not_looked_at)], console)
    console.print(Text(f"{summary.exit_reason} ({duration(summary.duration_s)})", style="bold"), soft_wrap=True)
    folder = summary.results.rpartition("/")[0]
    show_lines([f"results: {summary.results}", f"look at: {folder}/report.html"], console)


def show_rows(rows: Iterable[tuple[str, str]], console: Console) -> None:
    """Print names and values in two columns."""
    listed = list(rows)
    width = max((len(name) for name, _ in listed), default=0)
    show_lines([f"{name:<{width}}  {value}" for name, value in listed], console)


def show_lines(lines: Iterable[str], console: Console) -> None:
    """Print lines as they are: no markup, no wrapping, no control characters."""
    for line in lines:
        console.print(Text("".join(char if char.isprintable() else "?" for char in line)), soft_wrap=True)


def stdout_console() -> Console:
    """A console on stdout for results."""
    return Console(highlight=False)


def stderr_console() -> Console:
    """A console on stderr; rich decides about colour from the terminal and NO_COLOR."""
    return Console(file=sys.stderr, highlight=False)

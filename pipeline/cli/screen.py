"""The terminal: a run while it goes on, on stderr; tables, lines and JSON as results, on stdout."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, TextIO

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.cli.errors import explain, flushed, printable, say
from pipeline.cli.streams import hurried
from pipeline.models import OPEN, SETTLED, Kind, State
from pipeline.results.summary import RunSummary, to_json
from pipeline.run.changed import Changed
from pipeline.run.collect_by import clock_time
from pipeline.run.options import RunOptions
from pipeline.run.progress import Flow, Progress
from pipeline.system.wording import count, duration

PLAIN_EVERY_S = 10.0
_CHANGED = 10  # pictures that changed since they were searched
_PREPARING = "preparing the sandbox's gallery, once"


class Output(NamedTuple):
    """The output of a command that runs a job."""

    as_json: bool = False  # the summary as JSON on stdout, instead of a table
    quiet: bool = False  # no progress and no table


@contextmanager
def observing(output: Output) -> Iterator["PlainLines | LiveTable | None"]:
    """Yield the display of a run until the block ends: a table on a terminal, lines elsewhere, none when quiet."""
    if output.quiet:
        with hurried():
            yield None
        return
    console = Console(file=sys.stderr, highlight=False)  # rich decides about colour from the terminal and NO_COLOR
    with hurried():
        if console.is_terminal and not console.is_dumb_terminal:
            with LiveTable(console) as table:
                yield table
        else:
            yield PlainLines(sys.stderr)


class Remarks:
    """Remarks of a command that runs a job; when quiet they are said only once it fails, for success needs no mail."""

    def __init__(self, output: Output) -> None:
        self._quiet = output.quiet
        self._held: list[str] = []

    def __enter__(self) -> "Remarks":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.release()

    def say(self, line: str) -> None:
        """Say a line at once, or keep it."""
        if self._quiet:
            self._held.append(line)
        else:
            say(line)

    def release(self) -> None:
        """Say what was kept."""
        for line in self._held:
            say(line)
        self._held.clear()


def shown(options: RunOptions, display: "PlainLines | LiveTable | None", remarks: Remarks) -> RunOptions:
    """Return the options of a run that this display shows."""
    if display is None:
        return replace(options, say=remarks.say)
    return replace(options, say=remarks.say, observer=display, preparing=display.prepare)


def counts(progress: Progress) -> dict[str, int]:
    """Count items by word; they add up to all that are in so far."""
    items = progress.items
    words = {state.word.replace("_", " "): items[state] for state in SETTLED if items[state] or state is State.TASKED}
    if awaited := items[State.REPORT_PENDING]:
        words["waiting for the report"] = awaited
    open_ = sum(items[state] for state in OPEN if state is not State.REPORT_PENDING)
    begun = progress.in_flight
    waiting = sum(items.values()) - sum(words.values()) - open_
    return {**words, "open": open_, "in flight": min(begun, waiting), "not started": max(0, waiting - begun)}


def one_line(progress: Progress) -> str:
    """Write the whole picture as one plain line."""
    parts = [f"{number:,} {word}" for word, number in counts(progress).items()]
    parts += [f"{kind.value} {_flow(flow)}" for kind, flow in progress.flows.items() if flow.sent]
    parts += [str(progress.money)] if progress.money else []
    parts += [text for text in (_left(progress), _reports(progress), _pause(progress), _ending(progress)) if text]
    return f"{duration(progress.elapsed_s)}: " + "; ".join(parts)


def _left(progress: Progress) -> str:
    if progress.left_s is None:
        return ""
    return f"about {duration(progress.left_s)} left, bound by {progress.binds}"


def _reports(progress: Progress) -> str:
    return "" if progress.collect_by is None else f"`pipeline collect` must start by {clock_time(progress.collect_by)}"


def _pause(progress: Progress) -> str:
    """Describe the pause of all calls, or return "" while calls go."""
    if progress.waits_until is not None:
        if progress.paused_s <= 1:
            return "calls wait for the day's limit to be lifted; one is on its way to see"
        when = datetime.fromtimestamp(progress.waits_until).astimezone()
        return f"calls wait for the day's limit to be lifted, until {when:%Y-%m-%d %H:%M %Z}"
    return f"all calls pause for {duration(progress.paused_s)}" if progress.paused_s > 1 else ""


def _ending(progress: Progress) -> str:
    return f"ending: {progress.ending}" if progress.ending else ""


def _flow(flow: Flow) -> str:
    slowed = f", slowed to {flow.slowed_to_per_s:.1f}" if flow.slowed_to_per_s < flow.limit_per_s else ""
    budget = f", {flow.spent:,} of {flow.budget:,} spent" if flow.budget is not None else ""
    return f"{count(flow.sent, 'call')} at {flow.per_s:.1f}/s of {flow.limit_per_s:g}/s{slowed}{budget}"


class PlainLines:
    """A line every ten seconds, for logs and schedulers."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next = time.monotonic() + PLAIN_EVERY_S

    def prepare(self, done: int, total: int) -> None:
        """Say once that the sandbox's gallery is prepared."""
        if not done:
            print(f"{_PREPARING}: {count(total, 'drawing')}", file=self._stream, flush=True)

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

    def prepare(self, done: int, total: int) -> None:
        """Draw how far the preparation of the sandbox's gallery is."""
        self._live.update(Text(f"{_PREPARING}: {done:,} of {count(total, 'drawing')}"))

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the table off the screen until the block ends."""
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def update(self, progress: Progress) -> None:
        """Draw the run as it is now."""
        words = Text("  ").join(
            Text.assemble((f"{number:,}", "bold"), f" {word}") for word, number in counts(progress).items()
        )
        calls = Table.grid(padding=(0, 2))
        for kind, flow in progress.flows.items():
            if flow.sent or kind is Kind.SEARCH:
                calls.add_row(Text(kind.value, style="dim"), Text(_flow(flow)))
        if progress.money:
            calls.add_row(Text("money", style="dim"), Text(str(progress.money)))
        time_line = ", ".join(text for text in (duration(progress.elapsed_s), _left(progress)) if text)
        lines: list[RenderableType] = [words, calls, Text(time_line, style="dim")]
        lines += [Text(text, style="dim") for text in (_reports(progress),) if text]
        lines += [Text(text, style="yellow") for text in (_pause(progress), _ending(progress)) if text]
        self._live.update(Group(*lines))


def show_summary(summary: RunSummary, output: Output, *, following: str = "") -> int:
    """Print the outcome of a run, and the command to type next; return the exit code of the command.

    That is the run's own, or, where it says no more than "done" or "some items are open", that of an output which
    cannot be written. When quiet only the reason for a code that is not 0 is printed, on stderr.
    """
    try:
        _show_summary(summary, output, following)
    except OSError as exc:
        return summary.exit_code if summary.exit_code > 1 else explain(exc)
    return flushed(summary.exit_code)


def _show_summary(summary: RunSummary, output: Output, following: str) -> None:
    lines = [f"next: {following}"] if following else []
    if output.as_json:
        _write_json(to_json(summary))
    elif not output.quiet:
        _show_table(summary)
        show_lines(lines)
    elif summary.exit_code:
        say("\n".join([summary.exit_reason, *lines]))


def _show_table(summary: RunSummary) -> None:
    words = [*(state.word for state in (*SETTLED, *OPEN)), "not_started", "all"]
    show_rows((word.replace("_", " "), f"{summary.items[word]:,}") for word in words if summary.items.get(word))
    calls = ", ".join(f"{spent.sent:,} {kind}" for kind, spent in summary.calls.items())
    unknown = sum(spent.unknown for spent in summary.calls.values())
    more = f", and up to {unknown:,} when the process was killed" if unknown else ""
    money = [f"money so far, by the prices of the job: {summary.money}"] if summary.money else []
    details = [f"details so far: {summary.details}"] if summary.details else []
    show_lines([f"calls so far: {calls}{more}; {summary.billed}", *details, *money])
    if summary.vendor == "sandbox":
        show_lines(["These results come from the sandbox's drawn gallery, not from a patent database."])
    show_lines([*summary.warnings, *(f"Not looked at: {what}" for what in summary.not_looked_at)])
    show_lines(about_unread(summary.unread, summary.collect_by))
    ending = Text(printable(f"{summary.exit_reason} ({duration(summary.duration_s)})"), style="bold")
    _stdout().print(ending, soft_wrap=True)
    folder = summary.results.rpartition("/")[0]
    show_lines([f"results: {summary.results}", f"look at: {folder}/report.html"])


def about_unread(tasks: int, collect_by: str) -> list[str]:
    """Say how many tasks are not read yet, and by when reading them must begin; nothing where there are none."""
    if not tasks:
        return []
    when = clock_time(datetime.fromisoformat(collect_by).timestamp())
    whose = count(tasks, "paid task is", "paid tasks are")
    return [f"{whose} not read: `pipeline collect` must start by {when} to read every one in time"]


def show_changed(changed: Sequence[Changed]) -> None:
    """Print which pictures changed since they were searched, the first ones."""
    more = f"and {count(len(changed) - _CHANGED, 'more picture')} changed; --json names all of them"
    show_lines([*(one.said for one in changed[:_CHANGED]), *([more] if len(changed) > _CHANGED else [])])


def show_json(value: Any) -> None:
    """Print a value as JSON, indented for people."""
    _write_json(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def _write_json(data: bytes) -> None:
    """Write JSON to stdout as it is, in UTF-8: a locale that knows fewer letters would break it."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)


def show_rows(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and values in two columns."""
    listed = list(rows)
    width = max((len(name) for name, _ in listed), default=0)
    show_lines([f"{name:<{width}}  {value}" for name, value in listed])


def show_lines(lines: Iterable[str]) -> None:
    """Print lines as they are: no markup, no wrapping, no control characters."""
    console = _stdout()
    for line in lines:
        console.print(Text(printable(line)), soft_wrap=True)


class _Pipe(Console):
    def on_broken_pipe(self) -> None:
        """Let the command say that nobody reads its output any more; rich would exit with a code of its own."""
        raise


def _stdout() -> Console:
    return _Pipe(highlight=False)

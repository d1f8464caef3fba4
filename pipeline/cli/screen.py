"""The terminal: a run while it goes on, on stderr; tables, lines and JSON as results, on stdout."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.text import Text

from pipeline.cli.errors import explain, flushed, printable, say
from pipeline.cli.live import LiveBlock, PlainLines
from pipeline.cli.streams import hurried
from pipeline.journal.places import REPORT
from pipeline.models import OPEN, SETTLED
from pipeline.results.summary import RunSummary, to_json
from pipeline.run.changed import Changed
from pipeline.run.collect_by import clock_time
from pipeline.run.options import RunOptions
from pipeline.system.language import named, translated
from pipeline.system.widths import padded, width
from pipeline.system.wording import count, duration

_CHANGED = 10  # pictures that changed since they were searched


class Output(NamedTuple):
    """The output of a command that runs a job."""

    as_json: bool = False  # the summary as JSON on stdout, instead of a table
    quiet: bool = False  # no progress and no table


@contextmanager
def observing(output: Output) -> Iterator[PlainLines | LiveBlock | None]:
    """Yield the display of a run until the block ends: a block on a terminal, lines elsewhere, none when quiet."""
    if output.quiet:
        with hurried():
            yield None
        return
    console = Console(file=sys.stderr, highlight=False)  # rich decides about colour from the terminal and NO_COLOR
    with hurried():
        if console.is_terminal and not console.is_dumb_terminal:
            with LiveBlock(console) as block:
                yield block
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


def shown(options: RunOptions, display: PlainLines | LiveBlock | None, remarks: Remarks) -> RunOptions:
    """Return the options of a run that this display shows."""
    if display is None:
        return replace(options, say=remarks.say)
    return replace(options, say=remarks.say, observer=display, preparing=display.prepare)


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
        _show_table(summary, lines)
    elif summary.exit_code:
        say("\n".join([summary.exit_reason, *lines]))


def _show_table(summary: RunSummary, following: list[str]) -> None:
    """Print three paragraphs: what came, why it ended and what to do next, and where to look."""
    words = [*(state.word for state in (*SETTLED, *OPEN)), "not_started", "all"]
    show_rows((word.replace("_", " "), f"{summary.items[word]:,}") for word in words if summary.items.get(word))
    calls = ", ".join(f"{spent.sent:,} {kind}" for kind, spent in summary.calls.items())
    unknown = sum(spent.unknown for spent in summary.calls.values())
    more = f", and up to {unknown:,} when the process was killed" if unknown else ""
    money = [f"money so far, by the prices of the job: {summary.money}"] if summary.money else []
    details = [f"details so far: {summary.details}"] if summary.details else []
    show_lines([f"calls so far: {calls}{more}; {summary.billed}", *details, *money])
    if summary.similar is not None and summary.similar.since:
        show_lines([str(summary.similar)])
    if summary.pictures is not None and summary.pictures.not_kept:
        show_lines([f"pictures: {summary.pictures}"])
    if summary.vendor == "sandbox":
        show_lines(["These results come from the sandbox's drawn gallery, not from a patent database."])
    show_lines([*summary.warnings, *(f"Not looked at: {what}" for what in summary.not_looked_at)])
    show_lines([*about_unread(summary.unread, summary.collect_by), ""])
    ending = Text(translated(printable(f"{summary.exit_reason} ({duration(summary.duration_s)})")), style="bold")
    _stdout().print(ending, soft_wrap=True)
    page = Path(summary.results).with_name(REPORT)
    look = [f"look at: {page}"] if page.is_file() else []  # one that could not be written was told of
    show_lines([*following, "", *look, f"results: {summary.results}"])


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
    listed = [(named(name), translated(value)) for name, value in rows]
    wide = max((width(name) for name, _ in listed), default=0)
    _print(f"{padded(name, wide)}  {value}" for name, value in listed)


def show_lines(lines: Iterable[str]) -> None:
    """Print lines in the language of the command: no markup, no wrapping, no control characters."""
    _print(map(translated, lines))


def _print(lines: Iterable[str]) -> None:
    console = _stdout()
    for line in lines:
        console.print(Text(printable(line)), soft_wrap=True)


class _Pipe(Console):
    def on_broken_pipe(self) -> None:
        """Let the command say that nobody reads its output any more; rich would exit with a code of its own."""
        raise


def _stdout() -> Console:
    return _Pipe(highlight=False)

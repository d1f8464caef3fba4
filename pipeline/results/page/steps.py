"""The next steps after a run, most urgent first: what, how many, the command to type, and until when."""

from pathlib import Path
from typing import Any, NamedTuple

from pipeline.journal.places import goes_on_with
from pipeline.results.advice import why_not_started
from pipeline.results.page.view import NOT_STARTED, RunView
from pipeline.system.fault import typed


class Step(NamedTuple):
    """One thing to do; `assets/words.json` has a sentence for each `kind`, as `step.<kind>`."""

    kind: str
    number: int
    command: str = ""  # as it can be typed; "" where no command does it
    until: str = ""  # when it is too late, ISO 8601 in UTC; "" where it never is


def next_steps(view: RunView, *, first_task: str, first_awaited: str) -> list[Step]:
    """List what a person does after this run; the page shows the first three.

    `first_task` is when the first task expires, `first_awaited` the same of those whose report is not read.
    """
    number = view.counts.get
    rehearsed = ["--rehearse"] if view.rehearsal else []  # without it the run would be another one, and real
    run = typed(goes_on_with(Path(view.folder)), view.job_file, *rehearsed)
    status = typed("status", view.folder)
    lost = number("report_failed", 0) + number("report_lost", 0)
    tasks = 0 if view.sandbox or view.unread else number("tasked", 0)
    steps = [
        Step("collect", view.unread, typed("collect", view.folder), view.collect_by),
        Step("awaited", number("report_pending", 0), run, first_awaited),
        Step("tasks", tasks, "", first_task),
        Step("in_doubt", number("in_doubt", 0), status),
        Step(why_not_started(view.ended_by, daily=view.daily), number(NOT_STARTED, 0), run),
        Step("failed", number("failed", 0), status),
        Step("expired", number("expired", 0), run),
        Step("without_report", lost, status),
    ]
    return [step for step in steps if step.number]


def for_script(steps: list[Step], *, confined: bool) -> list[list[Any]]:
    """Write steps as the page's script takes them; a client's page names no command and no path."""
    return [[one.kind, one.number, "" if confined else one.command, one.until] for one in steps]

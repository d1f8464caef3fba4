"""Sentences of the page: each status, what to do about an item, what to do after the run.

A page of findings must not reassure: it says what was found and what was not looked at, never what that means in law.
"""

from typing import NamedTuple

from pipeline.results.advice import about_not_started
from pipeline.results.page.entries import Entry
from pipeline.results.page.text import moment, tidy
from pipeline.results.page.view import NOT_STARTED, RunView
from pipeline.results.reading import SearchView, TaskView
from pipeline.results.summary import FINISHED, INTERRUPTED, RUNNING
from pipeline.system.wording import count


class Status(NamedTuple):
    """The words for a status; its mark on the page is named like the status."""

    label: str  # on a badge
    meaning: str  # in a list


STATUSES = {
    "reported": Status("Report read", "searched, a task was created, and the vendor's report is here"),
    "tasked": Status("Task created", "searched, and a task was created from the hits"),
    "no_hits": Status("No hits at that score", "nothing found at or above the asked score within the filters"),
    "searched": Status("Searched", "searched; this job creates no tasks"),
    "failed": Status("Failed", "failed: something went wrong on the way"),
    "in_doubt": Status("In doubt", "in doubt: a task was asked for, no answer came"),
    "expired": Status("Expired", "expired: the vendor's links grew too old"),
    "report_pending": Status("Report awaited", "the task is paid; the vendor's report is not in yet"),
    "report_failed": Status("No report", "the task is paid; the vendor gave no report for it"),
    "report_lost": Status("Report lost", "the task is paid; it expired before its report was read"),
    NOT_STARTED: Status("Not started", "the run ended before its turn"),
}
CALLS = {
    "upload": ("picture upload", "picture uploads"),
    "search": ("search", "searches"),
    "create": ("task creation", "task creations"),
    "query": ("question for a report", "questions for reports"),
    "token": ("sign-in", "sign-ins"),
}


STATES = {
    FINISHED: "the run had come to its end",
    INTERRUPTED: "the run had been interrupted before it came to its end; run the same job again to go on",
    RUNNING: "the run was still going on, and what came later is not on this page",
}


class Step(NamedTuple):
    """One thing to do after a run."""

    about: str
    todo: str


def as_of(view: RunView) -> str:
    """Say as of when the page tells, and how the run stood then."""
    return f"As of {moment(view.as_of or view.finished_at)}: {STATES[view.state]}."


def next_steps(view: RunView, first_expiry: str) -> list[Step]:
    """List what a person does after this run, the most urgent first."""
    number = view.counts.get
    steps = []
    if doubtful := number("in_doubt", 0):
        todo = (
            "Ask the vendor whether these tasks exist; they may be paid already, so they are never sent again unasked."
        )
        steps.append(Step(count(doubtful, "item is in doubt", "items are in doubt"), todo))
    if failed := number("failed", 0):
        todo = "See below what is wrong with each and what can be done about it."
        steps.append(Step(count(failed, "item failed", "items failed"), todo))
    if expired := number("expired", 0):
        steps.append(Step(count(expired, "item expired", "items expired"), "Run the same job again."))
    if waiting := number(NOT_STARTED, 0):
        todo = about_not_started(view.ended_by, daily=view.daily)
        steps.append(Step(f"{count(waiting, 'item was', 'items were')} not started", todo))
    if awaited := number("report_pending", 0):
        todo = "Run the same job again before their tasks expire: it asks for the reports, which are paid already."
        steps.append(Step(f"{count(awaited, 'report is', 'reports are')} awaited", todo))
    if without := number("report_failed", 0) + number("report_lost", 0):
        todo = "No report says nothing about a product. See below what can be done about each."
        steps.append(Step(f"{count(without, 'item has', 'items have')} a paid task and no report", todo))
    if tasks := number("tasked", 0):
        steps.append(_tasks_step(tasks, first_expiry, sandbox=view.sandbox))
    if view.settled:
        todo = (
            "Look at each product beside its hits, highest score first. What a likeness means is for a person to judge."
        )
        steps.append(Step("Compare", todo))
    return steps


def _tasks_step(tasks: int, first_expiry: str, *, sandbox: bool) -> Step:
    about = f"{count(tasks, 'item has', 'items have')} a task"
    if sandbox:
        return Step(about, "These tasks are practice: they exist in the sandbox and nowhere else.")
    until = f" The first one expires on {moment(first_expiry)}." if first_expiry else ""
    return Step(about, f"Fetch the results from the vendor in time: a task lives 8 hours.{until}")


def found(entry: Entry) -> str:
    """Say how many hits there are, and how many of them are shown."""
    search = entry.record.search
    if search is None:
        return ""
    shown = len(entry.hits)
    if entry.record.remark:
        return f"{entry.record.remark[:1].upper()}{entry.record.remark[1:]}."
    if not search.hits:
        return STATUSES["no_hits"].meaning.capitalize() + "."
    if not shown:
        gone = "they are gone here" if entry.record.hits_lost else "this job keeps none of them in its results"
        return f"{count(search.hits, 'hit')}; {gone}."
    first = f"The {shown} most alike of {count(search.hits, 'hit')}" if shown < search.hits else count(shown, "hit")
    if entry.record.status == "no_hits":
        return f"{STATUSES['no_hits'].meaning.capitalize()}. Below that score: {first[0].lower()}{first[1:]}."
    return f"{first}."


def beyond(search: SearchView | None) -> str:
    """Say how many of the vendor's results were not looked at; "" when it returned all."""
    if search is None or not search.truncated:
        return ""
    seen = sum(page.hits for page in search.pages) or search.hits
    if not seen:
        return ""
    return f"The vendor found {search.total:,} in all; hits beyond the first {seen:,} were not looked at."


def task_note(task: TaskView) -> str:
    """Say how many hits are in a task, and when it expires."""
    parts = [f"{count(task.hits, 'hit')} in it"]
    if task.hits_dropped:
        parts.append(f"{task.hits_dropped:,} left out for want of a required field")
    if task.expires_at:
        parts.append(f"expires {moment(task.expires_at)}")
    return ", ".join(parts)


def calls_made(calls: dict[str, int]) -> list[str]:
    """Write the calls of a run in words, by kind."""
    return [count(number, *CALLS.get(kind, (tidy(kind, 40), tidy(kind, 40)))) for kind, number in calls.items()]

"""The next step for the owner of a run: about each open item, and about those that were not started.

`status`, open.jsonl, the page and the last line of a run all ask here, so that none of them contradicts another.
"""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import Code
from pipeline.job.images import LISTED
from pipeline.journal.places import goes_on_with, run_of, run_of_shard
from pipeline.models import OF_REPORT, Item, Problem, State, Work

_IN_WORKBOOK = re.compile(r"(?P<file>.+):(?P<sheet>.+)!(?P<row>[0-9]+)")

# What to do about an item that failed with one of these codes; `{place}` is where it is listed, `{retry}` the command
# that pays for such items once more.
_FAILED: dict[str, str] = {
    Code.BAD_ROW: "correct {place}, then {run}",
    Code.ID_TWICE: "give the item in {place} an id of its own, then {run}",
    Code.BAD_NAME: "rename the file so that its name is UTF-8 text, then {run}",
    Code.NOT_PUBLIC: "write `upload: {{public: true}}` in the job file, or list a URL in {place}, then {run}",
    Code.PICTURE: "mend or replace {source} (listed in {place}), then {run}",
    Code.SAME_PICTURE: "settle the item that is named first; then {run}, and this one shares its outcome for nothing",
    Code.CHANGED: "put the picture back that was searched, then {run}: its task is created of the hits that are paid; "
    "or search, and pay for, the picture as it is now: `{retry}`",
    Code.INCOMPLETE_HITS: "ask the vendor why its hits lack what a task needs; to search and pay once more: `{retry}`",
    "past_the_end": "lower search.filters.offset in the job file and run it with --accept-changes; then `{retry}`",
    "hits_missing": "{run}: it is searched, and paid, once more; if the hits are missing again, ask the vendor",
    "no_data": "{run}: it is searched, and paid, once more; if the data is missing again, ask the vendor",
}
_IN_DOUBT: dict[str, str] = {
    Code.TASK_TWICE: "ask the vendor which task this picture has (the one it named is another item's)",
    "no_task_id": "ask the vendor which task this picture has (its answer named none)",
    Code.REPAIRED: "look at the vendor's tasks, for the journal was damaged and nobody else knows",
}


def todo_for(work: Work, state: State, problem: Problem, *, run: Path, about_picture: Callable[[str], bool]) -> str:
    """Say what to do about an open item: commands to type, where these help.

    `run` is the run directory; `about_picture` says whether a refusal with a code says something about one picture.
    """
    around = run_of(run)  # where reports are collected
    # Commands take a run as a whole.
    run, around = run_of_shard(run) or run, None if around is None else run_of_shard(around) or around
    goes_on = goes_on_with(run if around is None else around)
    folder = shlex.quote(str(run if around is None or state not in OF_REPORT else around))
    if around is not None and state in OF_REPORT and problem.consequence == "retry":
        return f"`pipeline collect {folder}` before the task expires: it asks for the report, and creates nothing"
    if around is not None and state in OF_REPORT and goes_on == "work":
        return _about_report_of_shard(work.item, state)
    if around is not None and state in (State.FAILED, State.EXPIRED):
        return f"its task was to be paid for anew: `pipeline retry {folder} --only {state.word}`"
    if state is State.IN_DOUBT:
        return _about_doubt(work, problem, folder, goes_on, collected=around is not None)
    todo = _about_failure(work.item, state, problem, folder, goes_on, about_picture)
    if work.listed:
        return todo
    return (
        f"the job lists it no longer, and `pipeline {goes_on}` and `pipeline retry` leave out what is not listed: list "
        f"{work.item.source} again with the id {work.item.id}, then {_again(goes_on)}; if it is open then, {todo}"
    )


def _again(command: str) -> str:
    """Say that the job file goes on by a command."""
    return f"`pipeline {command}` the job file"


def _about_failure(
    item: Item, state: State, problem: Problem, folder: str, goes_on: str, about_picture: Callable[[str], bool]
) -> str:
    code, run = problem.code, _again(goes_on)
    if goes_on != "run":  # workers leave a shard alone that came to its end
        run = f"`pipeline collect {folder}`" if state in OF_REPORT else f"`pipeline retry {folder} --only {state.word}`"
    if state in OF_REPORT:
        return _about_report(state, problem, folder, run)
    if state is State.EXPIRED:
        return f"{run}: it is searched, and paid, anew"
    retry = f"pipeline retry {folder} --only failed --code {shlex.quote(code)}"
    place = _place(item.origin, folder)
    if code in _FAILED:
        return _FAILED[code].format(place=place, source=item.source, run=run, retry=retry)
    if problem.stage == "read":
        return f"mend it ({place}), then {run}"
    if problem.retryable:
        return run
    if about_picture(code):
        return (
            f"list another picture for it in {place} (the id may stay), then {run}; if you mended the picture where it "
            f"is: `{retry}`"
        )
    return (
        f"check the job's settings, for `pipeline {goes_on}` leaves it as it is; to pay for it once more: "
        f"`{retry}`; if it is refused again, ask the vendor"
    )


def _about_report(state: State, problem: Problem, folder: str, run: str) -> str:
    anew = f"`pipeline retry {folder} --only {state.word.replace('_', '-')}`"
    if state is State.REPORT_LOST:
        return f"to pay for a new task of it: {anew}, then its report is read in time while that command lasts"
    if problem.consequence == "retry":
        return f"{run} before the task expires: it asks for the report, which is paid already, and creates nothing"
    return f"ask the vendor why the task failed and whether it is billed; to pay for a new one: {anew}"


def _about_report_of_shard(item: Item, state: State) -> str:
    """Say what to do about a report that was collected for a shard, where no command pays for its task anew."""
    anew = f"to pay for a search and a task of it anew, list {item.source} in a job that is not split"
    if state is State.REPORT_LOST:
        return anew
    return f"ask the vendor why the task failed and whether it is billed; {anew}"


def about_changed(id_: str, source: str, *, refused: bool, other: str, free: str) -> str:
    """Say that an item's picture was replaced after its search, and what to do.

    With `refused` no task is made of what is paid for it. `other` is an item that shows the picture as it is now, ""
    where there is none; `free` is an id that none has.
    """
    kept = f"{source} changed since it was searched: item {id_!r} keeps what was found for the picture it was"
    if refused:
        kept += ", which becomes no task unless that one is put back"
    if other:
        return f"{kept}; the picture it is now is that of item {other!r}"
    entry = f"- {{id: {json.dumps(free, ensure_ascii=False)}, path: {json.dumps(source, ensure_ascii=False)}}}"
    return f"{kept}; to search the one it is now, add `{entry}` to `images:` in the job file, then run the job again"


def why_not_started(ended_by: str, *, daily: bool) -> str:
    """Name why items were not started, by the code of what ended the run: the page has a sentence for each name.

    `daily` is whether that is the account's limit for the day. "not_started" where nothing ended it early.
    """
    if ended_by == Code.BUDGET:
        return "budget"
    if ended_by == Code.QUOTA:
        return "quota"
    if daily:
        return "daily"
    if ended_by == "67200005":
        return "balance"
    return "stopped" if ended_by else "not_started"


def about_not_started(ended_by: str, *, daily: bool, command: str = "run") -> str:
    """Say what to do about items that were not started; the arguments are those of `why_not_started`.

    `command` is the one that goes on with the run.
    """
    again = "run the same job again" if command == "run" else _again(command)
    goes_on = f"{again}: it goes on where it stopped, and what is paid is not paid again"
    match why_not_started(ended_by, daily=daily):
        case "budget":
            return f"Raise the budget that is used up, then {goes_on}. Before that a run sends nothing."
        case "quota":
            return (
                f"See at the vendor's console whether the quota is used up, or others use the account, then {goes_on}."
            )
        case "daily":
            return f"Wait until the account's limit for the day is lifted, then {goes_on}."
        case "balance":
            return f"Top up the account, then {goes_on}. Before that a run sends nothing."
        case "stopped":
            return f"Look after what ended the run, then {goes_on}."
        case _:
            return f"{goes_on[0].upper()}{goes_on[1:]}."


def _about_doubt(work: Work, problem: Problem, folder: str, goes_on: str, *, collected: bool) -> str:
    ask = _IN_DOUBT.get(problem.code, "ask the vendor whether its task exists")
    resolve, id_ = f"pipeline resolve {folder}", shlex.quote(work.item.id)
    if collected:  # no run works on such an item by itself
        retry = f"`pipeline retry {folder} --only in-doubt`"
        return f"{ask}, then `{resolve} --created {id_} TASK`, or create it once more and risk paying twice: {retry}"
    todo = (
        f"{ask}, then `{resolve} --created {id_} TASK`, `{resolve} --not-created {id_}`, or risk paying twice with "
        f"`{resolve} --retry {id_}`"
    )
    if work.repeats and goes_on == "run":  # workers leave a shard alone that came to its end
        creates = "`pipeline run` creates it once more and may pay twice (api.on_in_doubt)"
        return f"{creates}; to decide before that: {todo}"
    if not work.listed:
        return f"{todo}; the job lists it no longer: a run creates it only when {work.item.source} is listed again"
    return todo


def _place(origin: str, folder: str) -> str:
    """Write where an item is listed: `line 3 of p.csv`, or `images[3] of the job file`."""
    if found := _IN_WORKBOOK.fullmatch(origin):
        return f"row {found['row']} of the sheet {found['sheet']!r} in {found['file']}"
    name, _, line = origin.rpartition(":")
    if name == "stdin":
        return f"line {line} of {folder}/{LISTED} (the run goes on with this copy of the list)"
    if name and line.isdecimal():
        return f"line {line} of {name}"
    return f"{origin} of the job file" if origin else "the job file"

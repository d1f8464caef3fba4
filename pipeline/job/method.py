"""The key `method`: a search and then a task of its hits, or one submit that does both."""

from typing import Any, Protocol

from pipeline.endpoints.patsnap.ai39_submit import NAME

SEARCH_THEN_TASK, SUBMIT = "search-then-task", "submit"


class Task(Protocol):
    """The section `task` of a job, as far as a method has a say in it."""

    @property
    def enabled(self) -> bool: ...
    @property
    def report(self) -> str: ...
    @property
    def country(self) -> list[str] | None: ...
    @property
    def model_fields_set(self) -> set[str]: ...


def of_method(data: Any) -> Any:
    """Return what a job says with the sections that its method has: with a submit, its search and a report.

    Raises ValueError where the endpoint of the search is another method's.
    """
    if not isinstance(data, dict):
        return data
    search, task = data.get("search", {}), data.get("task", {})
    endpoint = search.get("endpoint") if isinstance(search, dict) else None
    if data.get("method", SEARCH_THEN_TASK) != SUBMIT:
        if endpoint == NAME:
            raise ValueError(f"search.endpoint: {NAME} searches and opens the task in one call: write `method: submit`")
        return data
    if endpoint not in (None, NAME):
        raise ValueError(
            f"search.endpoint: with `method: submit` the vendor searches by itself ({NAME}), so {endpoint} is never "
            "asked: take endpoint out, or write `method: search-then-task`"
        )
    if isinstance(search, dict):
        data = {**data, "search": {**search, "endpoint": NAME}}
    if isinstance(task, dict) and "report" not in task:
        data = {**data, "task": {**task, "report": "wait"}}
    return data


def unfit_for_submit(task: Task) -> str | None:
    """Say what a task may not be with a submit; None when all of it fits."""
    if not task.enabled:
        return "task.enabled: a submit searches and opens the task in one paid call, so there is always a task"
    if task.report == "off":
        return (
            "task.report: off is refused with `method: submit`: the hits come with the report and with nothing else; "
            "write wait or later, or leave it out"
        )
    if not task.country:
        return "task.country: required with `method: submit`; name the authorities to search, for example [US, EU]"
    if "max_hits" in task.model_fields_set:
        return f"task.max_hits: {NAME} does not take it: the vendor chooses the hits that it compares"
    return None

"""The judgement of finished records: each holds what was paid for it, whatever deaths came between."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.proof.ways import Way

TOTAL = 432  # designs in the sandbox's gallery
MOST_IN_TASK = 100
# Of details that never came: their budget is used up, or calls for them failed for good.
WITHOUT = frozenset({"over_budget", "failed"})


def records_hold_what_was_paid(folder: Path, way: Way, *, total: int = TOTAL) -> list[str]:
    """Say what the records of a run that came to its end lack; copies of a picture are passed over.

    total  of the designs at the vendor
    """
    late = _late(folder)
    wrong = []
    for record in _lines(folder / "results.jsonl"):
        if record.get("same_as") is None and record["status"] != "no_hits":
            wrong += [f"{record['item']}: {what}" for what in _wrong(record, way, late, folder, total=total)]
    return wrong


def _wrong(record: Mapping[str, Any], way: Way, late: Mapping[str, Any], folder: Path, *, total: int) -> Iterator[str]:
    ids = [hit["patent_id"] for hit in record["hits"]]
    task = record["task"]
    if len(set(ids)) < len(ids):
        yield "its hits name a patent twice"
    depth = way.parts.get("search", {}).get("depth")
    if depth and len(ids) != min(depth, total):
        yield f"{len(ids)} hits of a search {depth} deep"
    if task is not None and not way.submits and task["hits"] != min(len(ids), MOST_IN_TASK):
        yield f"its task has {task['hits']} of {len(ids)} hits"
    if way.views and len(record["image"]["views"]) != way.views:
        yield "its views are not all in its record"
    if way.waits and record["status"] == "reported":
        yield from _wrong_report(record, way, folder)
    if way.details:
        yield from _wrong_details(record, way.details, late)


def _wrong_report(record: Mapping[str, Any], way: Way, folder: Path) -> Iterator[str]:
    ids = {hit["patent_id"] for hit in record["hits"]}
    said = record["report"] or {}
    if said.get("task_id", record["task"]["task_id"]) != record["task"]["task_id"]:
        yield "its report is that of another task"
    if any(each["patent_id"] not in ids for each in record["comparisons"]):
        yield "its report compares patents that are none of its hits"
    if way.submits and not (ids and (folder / record["line_drawing"]).is_file()):
        yield "its report brought hits and a drawing, which are not there"


def _wrong_details(record: Mapping[str, Any], wanted: Mapping[str, Any], late: Mapping[str, Any]) -> Iterator[str]:
    details = record["details"]
    if details == "pending":
        details = late.get(record["item"], "pending")
    if isinstance(details, str):
        if details not in WITHOUT:
            yield f"its details are {details}"
        return
    numbers = {hit["patent_id"]: hit["patent_pn"] for hit in record["hits"]}
    order = sorted(record["hits"], key=lambda hit: -hit["score"])
    best = [hit["patent_id"] for hit in order if hit["score"] >= wanted["above"]][: wanted["top"]]
    if list(details) != best:
        yield f"its details are of {list(details)}, its best hits are {best}"
    for id_, one in details.items():
        if "missing" not in one and one["number"] != numbers.get(id_):
            yield f"the details of {id_} are of {one['number']}"


def _late(folder: Path) -> dict[str, Any]:
    return {line["item"]: line["details"] for line in _lines(folder / "details.jsonl")}


def _lines(file: Path) -> Iterator[Any]:
    for line in file.read_bytes().splitlines(keepends=True) if file.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:  # a line that a death cut short
            continue

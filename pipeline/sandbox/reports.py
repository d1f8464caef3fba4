"""Reports of tasks, as the vendor sends them: scores on either scale, and no judgement of the designs by anybody."""

from collections.abc import Callable
from typing import Any

import msgspec

from pipeline.sandbox.fates import Fate
from pipeline.sandbox.patents import Patent
from pipeline.sandbox.tasks import LoggedPatent, LoggedTask

RUNNING, SUCCESS, FAILED = 1, 2, 3
# The vendor numbers what the simple legal status calls inactive (0), active (1) and pending (2).
_STATUS = {"1": 1, "0": 2, "2": 3}
_LEVELS = ((0.9, "High"), (0.75, "Medium"))  # from this similarity on
_RUNNING_SHAPES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "plain": lambda named: {**named, "task_status": RUNNING, "comparisons": []},
    "bare": lambda named: {**named, "task_status": RUNNING},
    "null": lambda named: {**named, "task_status": RUNNING, "comparisons": None},
    "data": lambda _: {},
}


def encode_report(task: LoggedTask, find: Callable[[str], Patent | None], fate: Fate, *, running: bool) -> bytes:
    """Encode the data of AI39-2's answer; `find` returns the patent of an id. A `running` task has no comparisons."""
    named = {"task_id": task.task_id}
    if fate.kind == "silent" or (running and fate.kind == "no_status"):
        return msgspec.json.encode({**named, "comparisons": []})
    if running:
        return msgspec.json.encode(_RUNNING_SHAPES[fate.running](named))
    status = {} if fate.kind == "no_status" else {"task_status": FAILED if fate.kind == "failed" else SUCCESS}
    if fate.kind == "failed":
        return msgspec.json.encode({**named, **status})
    return msgspec.json.encode({**named, **status, "user_image": task.urls[0], **judged(task, find, fate)})


def judged(task: LoggedTask, find: Callable[[str], Patent | None], fate: Fate) -> dict[str, Any]:
    """List what a report says of the patents of a task, with the fields of both AI39 pairs."""
    known = [(patent, find(patent.patent_id)) for patent in task.patents]
    comparisons = [] if fate.kind in ("empty", "null") else [_comparison(*pair, fate) for pair in known]
    by_level = {level: _countries(comparisons, level) for level in ("High", "Medium")}
    close = [comparison for comparison in comparisons if comparison["risk_level"] == "High"]
    return {
        "loc": list(dict.fromkeys(found.loc for _, found in known if found is not None))[:1],
        "country": task.country,
        "comparisons": None if fate.kind == "null" else comparisons,
        "high_risk_country": by_level["High"],
        "middle_risk_country": by_level["Medium"],
        "suspected_infringement_count": len(close),
        "suspected_infringement_country": by_level["High"],
    }


def level_of(score: float | None) -> str:
    """Return the word for a similarity from 0 to 1."""
    return next((level for least, level in _LEVELS if (score or 0.0) >= least), "Low")


def _comparison(patent: LoggedPatent, found: Patent | None, fate: Fate) -> dict[str, Any]:
    per_cent = round(100 * (patent.score or 0.0), 1)
    text = f"Sandbox: the pictures' similarity is {per_cent} of 100; nobody looked at the designs."
    return {
        "patent_id": patent.patent_id,
        "patent_pn": patent.patent_pn,
        "title": patent.title,
        "country": found.country if found else patent.patent_pn[:2],
        "status": _STATUS[found.simple_legal_status] if found else _STATUS["1"],
        "score": per_cent if fate.scores == "per_cent" else round(per_cent / 100, 3),
        "similar": text,
        "difference": text,
        "confusion": text,
        "risk_desc": text,
        "risk_level": level_of(patent.score),
        "suggestion": text,
        "patent_image_url": patent.url,
    }


def _countries(comparisons: list[dict[str, Any]], level: str) -> list[str]:
    return sorted({comparison["country"] for comparison in comparisons if comparison["risk_level"] == level})

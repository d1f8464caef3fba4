"""Reports of tasks, as AI39-2 sends them: similarities in per cent, and no judgement of the designs by anybody."""

from collections.abc import Callable
from typing import Any

import msgspec

from pipeline.sandbox.patents import Patent
from pipeline.sandbox.tasks import LoggedPatent, LoggedTask

_RUNNING, _SUCCESS = 1, 2
# The vendor numbers what the simple legal status calls inactive (0), active (1) and pending (2).
_STATUS = {"1": 1, "0": 2, "2": 3}
_LEVELS = ((90.0, "High"), (75.0, "Medium"))  # from this similarity on, in per cent


def encode_report(task: LoggedTask, find: Callable[[str], Patent | None], *, running: bool) -> bytes:
    """Encode the data of an answer; `find` returns the patent of an id. A task that is `running` has no comparisons."""
    if running:
        return msgspec.json.encode({"task_id": task.task_id, "task_status": _RUNNING, "comparisons": []})
    known = [(patent, find(patent.patent_id)) for patent in task.patents]
    comparisons = [_comparison(patent, found) for patent, found in known]
    by_level = {level: _countries(comparisons, level) for level in ("High", "Medium")}
    close = [comparison for comparison in comparisons if comparison["risk_level"] == "High"]
    return msgspec.json.encode(
        {
            "task_id": task.task_id,
            "task_status": _SUCCESS,
            "user_image": task.urls[0],
            "loc": list(dict.fromkeys(found.loc for _, found in known if found is not None))[:1],
            "country": task.country,
            "comparisons": comparisons,
            "high_risk_country": by_level["High"],
            "middle_risk_country": by_level["Medium"],
            "suspected_infringement_count": len(close),
            "suspected_infringement_country": by_level["High"],
        }
    )


def _comparison(patent: LoggedPatent, found: Patent | None) -> dict[str, Any]:
    score = round(100 * (patent.score or 0.0), 1)
    text = f"Sandbox: the pictures' similarity is {score} of 100; nobody looked at the designs."
    return {
        "patent_id": patent.patent_id,
        "patent_pn": patent.patent_pn,
        "title": patent.title,
        "country": found.country if found else patent.patent_pn[:2],
        "status": _STATUS[found.simple_legal_status] if found else _STATUS["1"],
        "score": score,
        "similar": text,
        "difference": text,
        "confusion": text,
        "risk_desc": text,
        "risk_level": next((level for least, level in _LEVELS if score >= least), "Low"),
        "suggestion": text,
        "patent_image_url": patent.url,
    }


def _countries(comparisons: list[dict[str, Any]], level: str) -> list[str]:
    return sorted({comparison["country"] for comparison in comparisons if comparison["risk_level"] == level})

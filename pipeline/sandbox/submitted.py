"""Tasks of the newer pair: a search of their own, its hits, a report and a line drawing in one answer."""

import base64
import io
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image, ImageFilter, ImageOps

from pipeline.sandbox.fates import Fate
from pipeline.sandbox.patents import Patent
from pipeline.sandbox.reports import FAILED, RUNNING, SUCCESS, judged, level_of
from pipeline.sandbox.tasks import LoggedPatent, LoggedTask
from pipeline.sandbox.validate import SearchP060, Submission

_K_VALUE = 60  # of reciprocal rank fusion
_LARGE_BYTES = 3 * 2**20
_KEPT_DRAWINGS = 64


class Found(msgspec.Struct):
    """The data of a search's answer, as far as a task keeps it; any of the shapes that say "nothing found"."""

    patent_messages: list[LoggedPatent] | None = None
    total_search_result_count: int = 0


def search_of(submission: Submission) -> SearchP060:
    """Make the search of a task: P060's smart recommendation among designs, the best hundred."""
    return SearchP060(
        url=submission.url,
        model=1,
        patent_type="D",
        country=submission.country,
        loc=" OR ".join(submission.loc_items) if submission.loc_items else None,
        main_field=submission.main_field,
        apply_start_time=submission.apply_start_time,
        lang=submission.lang,
        limit=100,
        is_https=1,
    )


def encode_whole_report(
    task: LoggedTask, find: Callable[[str], Patent | None], fate: Fate, *, running: bool, drawing: str
) -> bytes:
    """Encode the data of an answer; `find` returns the patent of an id. Its scores are on one scale, 0 to 1."""
    named = {"task_id": task.task_id}
    if fate.kind == "silent" or (running and fate.kind == "no_status"):
        return msgspec.json.encode(named)
    if running:
        return msgspec.json.encode({} if fate.running == "data" else {**named, "task_status": RUNNING})
    if fate.kind == "failed":
        return msgspec.json.encode({**named, "task_status": FAILED})
    hits = [_hit(patent, find(patent.patent_id)) for patent in task.patents]
    report = judged(task, find, fate._replace(scores="fraction"))
    for comparison in report["comparisons"] or ():
        comparison["img_id"] = f"{comparison['patent_pn']}-1"
    return msgspec.json.encode(
        {
            **named,
            **({} if fate.kind == "no_status" else {"task_status": SUCCESS}),
            "line_drawing_base64": drawing,
            "patent_messages": _messages([] if fate.kind == "lost_hits" else hits, task.total) if hits else {},
            "rrffusion_response": _fusion(hits),
            "report": {**report, "operate_date": int(task.at.timestamp() * 1000)},
        }
    )


def _messages(hits: list[dict[str, Any]], total: int) -> dict[str, Any]:
    return {"patent_messages": hits, "total_search_result_count": total}


@lru_cache(maxsize=_KEPT_DRAWINGS)
def line_drawing(picture: Path, *, large: bool) -> str:
    """Draw the lines of a picture, as a `data:` URI of a PNG; a `large` one has bytes behind its end."""
    with Image.open(picture) as image:
        lines = ImageOps.invert(image.convert("L").filter(ImageFilter.FIND_EDGES))
    encoded = io.BytesIO()
    lines.save(encoded, "PNG")
    data = encoded.getvalue() + b"\0" * (_LARGE_BYTES if large else 0)
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def _hit(patent: LoggedPatent, found: Patent | None) -> dict[str, Any]:
    hit = {
        "url": patent.url,
        "url_120": patent.url,
        "score": patent.score,
        "title": patent.title,
        "img_id": f"{patent.patent_pn}-1",
        "patent_id": patent.patent_id,
        "patent_pn": patent.patent_pn,
        "risk_level": level_of(patent.score),
    }
    if found is None:
        return hit
    return hit | {
        "authority": found.country,
        "loc": [found.loc],
        "apno": found.apno,
        "apdt": found.apdt,
        "pbdt": found.pbdt,
        "inventor": found.inventor.replace("|", ";"),
        "current_assignee": found.current_assignee,
        "original_assignee": found.original_assignee,
    }


def _fusion(hits: list[dict[str, Any]]) -> dict[str, Any]:
    """Rank the hits once more, as the vendor's re-ranking does; here both ranks are that of the score."""
    ranked = [
        {
            **{key: hit[key] for key in ("patent_id", "patent_pn", "url")},
            "rrf_score": round(2 / (_K_VALUE + rank), 6),
            "rerank_rank": rank,
            "rerank_score": round(100 * (hit["score"] or 0.0), 2),
            "traditional_rank": rank,
            "traditional_score": hit["score"],
        }
        for rank, hit in enumerate(hits, start=1)
    ]
    counts = {"rerank_count": len(hits), "traditional_count": len(hits)}
    return {"k_value": _K_VALUE, **counts, "patent_messages": ranked}

"""Records, runs and pictures as the report's tests need them."""

import io
import json
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline.results.page.page import write_report
from pipeline.results.page.thumbs import MadePictures
from pipeline.results.page.view import OPEN_WORDS, RunView
from pipeline.results.survey import Part, Survey, survey
from tests.support.pages import Page

COUNTS = {"tasked": 2, "no_hits": 1, "searched": 0, "failed": 1, "in_doubt": 1, "expired": 0, "not_started": 3}


def hit(score: Any = 0.9134, **changes: Any) -> dict[str, Any]:
    return {
        "url": "https://pictures.example/1.png",
        "score": score,
        "title": "Tote bag",
        "patent_id": "p-1",
        "patent_pn": "USD0554568S1",
        "later": {"field": [1]},
        **changes,
    }


def record(item: str = "SKU-1", status: str = "tasked", **changes: Any) -> dict[str, Any]:
    """A record as results.jsonl or open.jsonl holds it."""
    settled = status in ("reported", "tasked", "searched", "no_hits")
    found = [] if status == "no_hits" or not settled else [hit()]
    search = {"total": 20_783, "hits": len(found), "truncated": bool(found), "endpoint": "P009"}
    task = {"task_id": "80d42f2c", "hits": 1, "hits_dropped": 0, "expires_at": "2026-11-21T18:00:00.000Z"}
    error = {"stage": "search", "code": "68300010", "message": "the vendor does not accept this picture file"}
    return {
        "schema": 1,
        "item": item,
        "status": status,
        "image": {"source": "https://cdn.example.com/1001.jpg", "labels": {"client": "acme"}},
        "search": search if settled else None,
        "task": task if status in ("reported", "tasked") else None,
        "error": None if settled else {**error, "retryable": False, "request_id": "r-1", "correlation_id": None},
        "hits": found,
        **changes,
    }


def run(**changes: Any) -> RunView:
    whole: dict[str, Any] = {
        "job": "autumn-portfolio",
        "vendor": "connect.patsnap.com",
        "tool": "0.1.0",
        "started_at": "2026-11-21T10:00:00.000Z",
        "finished_at": "2026-11-21T10:04:12.000Z",
        "counts": COUNTS,
        "calls": {"upload": 0, "search": 5, "create": 1},
        "billed": "the vendor billed 6 units",
        "exit_reason": "finished",
        "not_looked_at": ["utility models", "hits beyond the first 100"],
        "search": "P009, up to 100 hits a picture",
    }
    return RunView(**{**whole, **changes})


def png(*, size: tuple[int, int] = (400, 300), mode: str = "RGB", color: Any = "red") -> bytes:
    data = io.BytesIO()
    Image.new(mode, size, color).save(data, "PNG")
    return data.getvalue()


def page(
    folder: Path, *records: dict[str, Any] | bytes, pictures: dict[str, bytes] | None = None, **options: Any
) -> Page:
    """Write a report and read it back."""
    path = folder / "report.html"
    view = options.pop("view", None) or run()
    known = pictures or {}
    with tempfile.TemporaryDirectory() as files:
        settled, open_ = surveys(Path(files), *records)
        made = MadePictures(lambda source, _: known.get(source))
        write_report(path, view, open_, settled, pictures=made, **options)
    return Page(path)


def surveys(folder: Path, *records: dict[str, Any] | bytes) -> tuple[Survey, Survey]:
    """Write the records to results.jsonl and open.jsonl, and go through both."""
    texts: dict[str, list[bytes]] = {"results.jsonl": [], "open.jsonl": []}
    for one in records:
        is_open = isinstance(one, dict) and one["status"] in OPEN_WORDS
        line = one.rstrip(b"\n") if isinstance(one, bytes) else json.dumps(one).encode()
        texts["open.jsonl" if is_open else "results.jsonl"].append(line + b"\n")
    for name, lines in texts.items():
        (folder / name).write_bytes(b"".join(lines))
    settled, open_ = (survey(Part(folder / name)) for name in texts)
    return settled, open_

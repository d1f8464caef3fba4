"""Run directories of a few products beside one another, with summaries that tell what others need to know of them."""

import json
from pathlib import Path
from typing import Any

import msgspec

from pipeline.results.summary import RunSummary
from tests.support.report_records import record

ASKED = {"endpoint": "P009", "params": {"limit": 100}, "total": 3, "hits": 3}


def run(folder: Path, name: str, day: int, **found: dict[str, float]) -> Path:
    """A run directory: for each item, the scores of its patents."""
    place = folder / name
    place.mkdir()
    summary = {"job": "watch", "run": name, "started_at": f"2026-11-{day:02}T00:00:00Z"}
    (place / "summary.json").write_text(json.dumps(summary))
    lines: list[Any] = []
    for item, patents in found.items():
        hits = [{"patent_pn": name, "url": "u", "score": score} for name, score in patents.items()]
        lines.append(record(item, "tasked", search=ASKED, hits=hits))
    (place / "results.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return place


def summary_of(run: Path, exit_code: int = 0) -> RunSummary:
    plain = {"job": "watch", "run": run.name, "vendor": "v", "tool": "", "spec_sha256": "", "items": {}, "calls": {}}
    times = {"started_at": "", "finished_at": "", "duration_s": 0.0, "exit_reason": "all items are settled"}
    counts = {"calls_this_run": {}, "units_billed": 0.0, "calls_per_settled": {}, "refused_for_speed": 0, "retried": 0}
    lists = {"not_looked_at": [], "warnings": [], "results": str(run / "results.jsonl"), "exit_code": exit_code}
    return msgspec.convert({**plain, **times, **counts, **lists}, RunSummary)

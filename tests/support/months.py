"""Two months of a made-up job: the run before of a portfolio, with hits that came, rose and went since."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.results.before import Before
from pipeline.results.decisions import Decision
from pipeline.results.earlier_runs import KnownRun, runs_in
from pipeline.results.page.page import Written
from pipeline.results.since import read_earlier
from pipeline.results.standing import standing_of
from tests.support.portfolio import make_records, records, write

JOB, VENDOR = "autumn-portfolio", "sandbox"
OCTOBER, NOVEMBER = "autumn-2026-10", "autumn-2026-11"
_BEGAN = {OCTOBER: "2026-10-30T06:00:00.000Z", NOVEMBER: "2026-11-21T10:00:00.000Z"}


def write_summary(folder: Path) -> KnownRun:
    """Write what others need to know of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"job": JOB, "run": folder.name, "vendor": VENDOR, "started_at": _BEGAN[folder.name]}
    (folder / "summary.json").write_text(json.dumps(told))
    return next(one for one in runs_in(folder.parent) if one.folder == folder)


def of_october(products: int) -> Iterator[dict[str, Any]]:
    """Make the records of the month before.

    Of every seventh product a hit came since, of every fifth one rose, of every eleventh one went, every thirteenth was
    searched otherwise, every seventeenth was not searched.
    """
    for number, one in enumerate(records(products)):
        hits = one.get("hits", [])
        if not hits or number % 17 == 0:
            continue
        if number % 13 == 0:
            one["search"]["params"] = {"limit": 50}
        if number % 5 == 0:
            hits[0] = {**hits[0], "score": round(hits[0]["score"] - 0.03, 4)}
        if number % 7 == 0:
            hits = hits[:1] + hits[2:] if number % 2 else hits[1:]
        if number % 11 == 0:
            hits = [{**hits[0], "patent_pn": f"DE{number:09}S", "score": 0.99}, *hits[1:]]
        yield {**one, "hits": hits}


def dismissals(products: int) -> tuple[Decision, Decision, Decision]:
    """The best hit of a product that did not change; of one that rose; a product as a whole to which a hit came."""
    able = [(number, one) for number, one in enumerate(records(products)) if one.get("hits") and number % 17]
    able = [(number, one) for number, one in able if number % 11 and number % 13 and one["hits"][0]["score"] >= 0.93]
    same = next(one for number, one in able if number % 5 and number % 7)
    risen = next(one for number, one in able if not number % 5 and number % 7)
    came = next(one for number, one in able if number % 5 and not number % 14)
    made = {"decision": "dismiss", "at": "2026-10-31", "run": OCTOBER}
    return (
        Decision(item=same["item"], patent_pn=same["hits"][0]["patent_pn"], **made),
        Decision(item=risen["item"], patent_pn=risen["hits"][0]["patent_pn"], **made),
        Decision(item=came["item"], **made),
    )


def two_months(folder: Path, products: int, decisions: tuple[Decision, ...] = (), **changes: Any) -> Written:
    """Write both runs into a folder, and the page of the later one."""
    october, november = folder / OCTOBER, folder / NOVEMBER
    here = [write_summary(one) for one in (october, november)][1]
    lines = (json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in of_october(products))
    (october / "results.jsonl").write_bytes(b"".join(lines))
    make_records(november, products)
    return page_of_november(november, here, decisions, **changes)


def page_of_november(november: Path, here: KnownRun, decisions: tuple[Decision, ...] = (), **changes: Any) -> Written:
    """Write the page of the later month."""
    october = next(one for one in runs_in(november.parent) if one.run == OCTOBER)
    earlier = read_earlier(october.folder)
    before = Before(run=october, earlier=earlier, why_not="")
    standing = standing_of(november, here, decisions, earlier)
    return write(november, run=NOVEMBER, before=before, standing=standing, decisions=decisions, **changes)

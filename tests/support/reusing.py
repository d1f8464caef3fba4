"""Runs that take what other runs paid: each is planned first, and plan and run agree to the last call."""

from pathlib import Path
from typing import Any

from pipeline.calls.account import account_of
from pipeline.offline.plan import Plan, PlannedRun, make_plan
from pipeline.results.reading import RecordView
from pipeline.results.records import read_records
from pipeline.results.summary import RunSummary
from pipeline.run.load import load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions
from pipeline.sandbox.resources import resource
from tests.support.jobs import ACCOUNT, drawings, job

FREE = {"upload": 0, "search": 0, "create": 0}


def take(folder: Path, url: str, name: str, *, account: dict[str, str] = ACCOUNT, **parts: Any) -> "Taken":
    """Plan a job and run it; plan and run agree to the last call."""
    parts.setdefault("search", {"limit": 3, "reuse": "1h"})
    path = job(folder, url=url, pictures=0, output={"run": name}, **parts)
    write(folder)
    loaded = load(path, environment=account)
    who = account_of(url, loaded.credentials)
    plan = make_plan(loaded.spec, PlannedRun(account=who))
    summary = LocalExecutor().run(loaded, RunOptions(environment=account))
    made = {kind: summary.calls_this_run[kind] for kind in FREE}
    for kind, number in plan.calls.items():
        assert made[kind] == number or (kind in plan.at_most and made[kind] < number), (made, plan.calls)
    return Taken(plan, summary, {record.item: record for record in read_records(folder / "runs" / name)})


class Taken:
    def __init__(self, plan: Plan, summary: RunSummary, records: dict[str, RecordView]) -> None:
        self.plan, self.summary, self.records = plan, summary, records


def write(folder: Path) -> None:
    """Two URLs, two files, and a copy of one of them."""
    for name, product in (("a", "bag-0"), ("copy", "bag-0"), ("b", "lamp-0")):
        if not (folder / f"{name}.jpg").exists():
            (folder / f"{name}.jpg").write_bytes((resource("products") / f"{product}.jpg").read_bytes())
    rows = [f"U{n},{url}," for n, url in enumerate(drawings(2))] + ["A,,a.jpg", "C,,copy.jpg", "B,,b.jpg"]
    (folder / "list.csv").write_text("id,url,path\n" + "".join(f"{row}\n" for row in rows))


LOCAL = {"upload": {"public": True}}

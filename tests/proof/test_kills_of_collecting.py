"""A run that pays for tasks, and the collecting of their reports beside it: both really killed, again and again.

Each task is paid once, each report is one line of reports.jsonl, and questions stay within their budget.
"""

import json
import os
import random
import time
import zlib
from collections import Counter
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.journal.collected import has_collection
from pipeline.results.records import read_records
from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings
from tests.proof.history import IN_DOUBT, REPORT_FAILED, REPORTED, Row, read_history, violations
from tests.proof.jobs import CACHE, Jobs
from tests.proof.kills import _FORKS, ACCOUNT, FAULTS, live, warm_up
from tests.support.fates import tasks_fail
from tests.support.lengths import lengths
from tests.support.strict_vendor import QPS, strict_vendor

SEED = 11
POLLS = 8  # allowed a task, on average
KILLS = 8
WORDS = {REPORTED: "reported", REPORT_FAILED: "report_failed", IN_DOUBT: "in_doubt"}


def collecting(run: Path, *command: str) -> None:
    """One life of `pipeline collect`, or of another command, in a process of its own."""
    for kind in ("CACHE", "STATE"):
        os.environ[f"XDG_{kind}_HOME"] = str(run.parents[2] / kind.lower())
    os.environ.update(ACCOUNT)
    silence = os.open(os.devnull, os.O_WRONLY)
    said = os.open(run.parent / "collect.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(silence, 1)
    os.dup2(said, 2)
    name, *options = command or ("collect",)
    os._exit(cli.run([name, str(run), "-q", *options]))


def _begin(function: object, *arguments: object) -> ForkServerProcess:
    process = _FORKS.Process(target=function, args=arguments)  # type: ignore[arg-type]
    process.start()
    return process


def _ended(process: ForkServerProcess) -> int:
    process.join(300)
    return 99 if process.exitcode is None else process.exitcode


@pytest.mark.parametrize("items", lengths(long=200, thorough=1000))
def test_tasks_are_read_once_however_often_the_run_and_the_collecting_beside_it_are_killed(
    tmp_path: Path, items: int
) -> None:
    """A strict vendor with 3-second tokens and 50 calls a second, and faults of every kind."""
    warm_up()
    dice = random.Random(SEED)
    cap = POLLS * items
    with strict_vendor(tmp_path, cache=CACHE, faults=FAULTS, seed=SEED) as vendor:
        api = {"qps": QPS, "budget": {"query_calls": cap}}
        jobs = Jobs(tmp_path, vendor, items, api=api, task={"report": "later", "settle_s": 60})
        job = jobs.next()
        run = _begin(live, job, None)
        while not (jobs.run / "results.jsonl").exists():
            assert run.exitcode is None
            time.sleep(0.05)
        collect = _begin(collecting, jobs.run)
        kills: Counter[str] = Counter()
        while sum(kills.values()) < KILLS:
            time.sleep(dice.uniform(0.3, 0.6 + items / 300))
            if dice.random() < 0.5 and run.is_alive():
                run.kill()
                kills["run"] += _ended(run) == -9
                run = _begin(live, job, None)
            else:
                collect.kill()
                _ended(collect)
                kills["collect"] += 1
                collect = _begin(collecting, jobs.run)
        while (code := _ended(run)) not in (0, 1):
            assert code == 4
            run = _begin(live, job, None)
        _ended(collect)
        code = _ended(_begin(collecting, jobs.run))
        said = (jobs.run.parent / "collect.log").read_text()
        assert code in (0, 1), said
        found = [one for one in violations(jobs.history(ended=True)) if not one.startswith("open_items")]
        assert not found, found[:20]
        asked = vendor.stats.calls("query")
    assert asked <= cap
    assert kills["collect"]
    rows = read_history(jobs.run / "reports").rows
    _each_task_became_one_thing(jobs.run, rows)
    assert {row.state for row in rows} <= {REPORTED, REPORT_FAILED}
    assert code == (1 if any(row.state == REPORT_FAILED for row in rows) else 0)


def _each_task_became_one_thing(run: Path, rows: tuple[Row, ...], *, anew: bool = False) -> None:
    """Every task of the run is known to the collecting, and each report that is in is one whole line."""
    tasked = [json.loads(line) for line in (run / "results.jsonl").read_bytes().splitlines()]
    tasks = {line["item"]: line["task"]["task_id"] for line in tasked if line["task"] and not line.get("same_as")}
    known = {row.id: row.task_id for row in rows}
    assert (set(known) == set(tasks)) if anew else (known == tasks)
    data = (run / "reports.jsonl").read_bytes()
    in_order = sorted((row for row in rows if row.seq is not None), key=lambda row: row.seq or 0)
    assert [row.id for row in in_order] == [json.loads(line)["item"] for line in data.splitlines()]
    for row in in_order:
        line = data[row.offset : row.offset + row.length]
        assert (zlib.crc32(line), json.loads(line)["task"]["task_id"]) == (row.crc, row.task_id)
    assert in_order[-1].offset + in_order[-1].length == len(data)
    states = {row.id: row.state for row in rows}
    read = list(read_records(run, include_open=True))
    assert len({one.item for one in read}) == len(read)
    for one in read:
        first = one.same_as or one.item
        if first in states:
            assert one.status == WORDS[states[first]]
    items = json.loads((run / "summary.json").read_text())["items"]
    counted = Counter(one.status for one in read)
    assert all(items.get(word, 0) == counted[word] for word in (*WORDS.values(), "tasked"))
    assert has_collection(run)


def test_what_is_paid_anew_for_failed_reports_is_paid_once_and_tracked_over_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every first task fails; the budget of creates is one for both, and has two more than the new tasks need."""
    warm_up()
    items, dice, fails = 24, random.Random(SEED), tasks_fail(monkeypatch)
    settings = SandboxSettings(
        folder=tmp_path / "vendor",
        cache_dir=CACHE,
        latency_s=(0.0, 0.2),
        report_after_s=0.0,
        faults=FaultPlan.parse("create:67200002=0.02,create:lost=0.05", seed=SEED),
    )
    again = ("retry", "--only", "report-failed", "-y")
    with SandboxServer(settings) as vendor:
        api = {"qps": 20, "budget": {"create_calls": 3 * items}}
        jobs = Jobs(tmp_path, vendor, items, api=api, task={"report": "later"}, in_flight=2)
        assert _ended(_begin(live, jobs.next(), None)) in (0, 1)
        assert _ended(_begin(collecting, jobs.run)) == 1
        before = {created.task_id for created in jobs.executed()}
        fails.clear()
        kills = 0
        for _ in range(8):
            process = _begin(collecting, jobs.run, *again)
            process.join(dice.uniform(0.5, 2.0))
            if process.is_alive():
                process.kill()
                kills += 1
            _ended(process)
        for _ in range(3):
            assert _ended(_begin(collecting, jobs.run, *again)) in (0, 1)
            assert _ended(_begin(collecting, jobs.run)) in (0, 1)
        new = [created for created in jobs.executed() if created.task_id not in before]
        sent = vendor.stats.calls("create")
    assert kills
    assert sent <= 3 * items
    rows = read_history(jobs.run / "reports").rows
    by_url = {row.url: row for row in rows}
    assert max(Counter(created.url for created in new).values()) == 1
    for created in new:
        row = by_url[created.url]
        assert row.intent is not None
        assert row.task_id == created.task_id or row.state == IN_DOUBT
    assert {row.state for row in rows} <= {REPORTED, IN_DOUBT}
    assert REPORTED in {row.state for row in rows}
    _each_task_became_one_thing(jobs.run, rows, anew=True)

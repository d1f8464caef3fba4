"""Ctrl-C, SIGTERM and SIGHUP at the five moments that differ: nothing is lost, the exit code is right."""

import signal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline import RunOptions, run_job
from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.tasks import read_tasks
from tests.support.jobs import ACCOUNT, job, lines, pipeline, vendor
from tests.support.lengths import some

ITEMS = 14

# The child sends the signals to itself: `now()` the first; the second comes as soon as the first is heard.
SIGNALS = """
import signal
from pipeline.engine.engine import Engine
number, twice, left, drain = int(os.environ["NUMBER"]), os.environ["TWICE"], [True], Engine.drain

def now():
    if left:
        left.clear()
        os.kill(os.getpid(), number)

def draining(engine, reason):
    drain(engine, reason)
    if twice:
        os.kill(os.getpid(), number)

Engine.drain = draining
"""
RUN = "sys.exit(cli.run(sys.argv[1:]))"
WHILE_A_CALL_IS_OUT = """
from pipeline.engine.meter import ItemMeter
sent, calls = ItemMeter.sent, []

def sending(meter, kind):
    sent(meter, kind)
    calls.append(kind.value)
    if calls.count(CALL) == NUMBER_OF_CALL:
        now()

ItemMeter.sent = sending
"""
BEFORE_A_COMMIT = """
sync, count = os.fdatasync, []

def syncing(fd):
    count.append(fd)
    if len(count) == 3:
        now()
    sync(fd)

os.fdatasync = syncing
"""
WHILE_A_TOKEN_IS_OUT = """
import asyncio
from pipeline.calls.transport import Transport
exchange, tokens = Transport.exchange, []

async def exchanging(transport, request, *how, **more):
    if request.kind.value == "token":
        tokens.append(request)
        if len(tokens) == 2:
            asyncio.get_running_loop().call_later(0.05, now)
    return await exchange(transport, request, *how, **more)

Transport.exchange = exchanging
"""
WHILE_A_BATCH_IS_READ = """
from pipeline.engine import intake
read, count = intake._next_batch, []
intake.BATCH = 4

def reading(source):
    count.append(source)
    if len(count) == 3:
        now()
    return read(source)

intake._next_batch = reading
"""


class Moment(NamedTuple):
    """A moment of a run, reached in the child by `code`; the vendor is slow with the calls that are out then."""

    code: str
    settings: dict[str, Any] = {}  # noqa: RUF012 - never changed


def late(*rules: str) -> dict[str, Any]:
    return {"faults": FaultPlan(rules=FaultPlan.parse(",".join(rules)).rules, late_s=0.5)}


MOMENTS = {
    "search": Moment(f"CALL, NUMBER_OF_CALL = 'search', 6\n{WHILE_A_CALL_IS_OUT}", late("search:late@5-9")),
    "create": Moment(f"CALL, NUMBER_OF_CALL = 'create', 4\n{WHILE_A_CALL_IS_OUT}", late("create:late@3-9")),
    "commit": Moment(BEFORE_A_COMMIT),
    "token": Moment(WHILE_A_TOKEN_IS_OUT, {**late("token:late@2"), "token_lifetime_s": 3}),
    "intake": Moment(WHILE_A_BATCH_IS_READ),
}
WAYS = [(number, twice) for number in (signal.SIGINT, signal.SIGTERM) for twice in (False, True)]
CLOSED = (signal.SIGHUP, False)
WAYS.append(CLOSED)
CASES = [(moment, way) for moment in MOMENTS for way in WAYS]
NAMED = {("search", WAYS[0]), ("create", WAYS[3]), ("commit", WAYS[0]), ("create", CLOSED)}


@pytest.mark.parametrize(
    ("moment", "number", "twice"),
    [
        pytest.param(moment, *way, id=f"{moment}-{way[0].name}-{'twice' if way[1] else 'once'}")
        for moment, way in some(CASES, *(case for case in CASES if case in (*CASES[::4], *NAMED)))
    ],
)
def test_a_signal_loses_nothing(tmp_path: Path, moment: str, number: signal.Signals, twice: bool) -> None:
    at = MOMENTS[moment]
    run = tmp_path / "runs/job"
    with vendor(tmp_path, **at.settings) as server:
        # Slow enough that a refresh of the token falls into the run.
        path = job(tmp_path, url=server.url, pictures=ITEMS, api={"qps": 4 if moment == "token" else 40})
        code = SIGNALS + at.code + RUN
        how = {**ACCOUNT, "NUMBER": str(int(number)), "TWICE": "yes" if twice else ""}
        done = pipeline("run", path, "--quiet", cwd=tmp_path, code=code, **how)
        said = done.stderr
        assert done.returncode == 128 + number, said
        assert "Traceback" not in said
        log = (run / "run.log.jsonl").read_text()
        assert "run.draining" in log
        assert ("run.cut_short" in log) == twice
        tasked, doubts = _records(run)
        created = [task.task_id for task in read_tasks(tmp_path / "vendor")]
        if not twice:
            assert doubts == 0
        # What the vendor made is recorded, or in doubt; what is recorded, the vendor made; and nothing twice.
        assert len(set(tasked)) == len(tasked)
        assert set(tasked) <= set(created)
        assert len(created) - len(tasked) <= doubts
        summary = run_job(path, overrides=["api.qps=1000"], options=RunOptions(environment=ACCOUNT))
    assert summary.items["settled"] + summary.items["in_doubt"] == ITEMS, summary.exit_reason
    assert summary.items["in_doubt"] == doubts
    created = [task.task_id for task in read_tasks(tmp_path / "vendor")]
    assert len(created) - summary.items["tasked"] <= doubts
    assert len(created) <= ITEMS


def _records(run: Path) -> tuple[list[str], int]:
    """The ids of the recorded tasks, and how many items are in doubt."""
    tasked = [record["task"]["task_id"] for record in lines(run / "results.jsonl")]
    return tasked, sum(record["status"] == "in_doubt" for record in lines(run / "open.jsonl"))

"""Real processes, really killed while they wait for reports: no task is created twice, none is lost, each is read."""

import itertools
import random
from pathlib import Path

import pytest

from pipeline.reports import APART_S
from tests.proof.history import IN_DOUBT, REPORT_FAILED, REPORTED, TASKED, violations
from tests.proof.jobs import CACHE, Jobs
from tests.proof.kills import _FORKS, FAULTS, live, warm_up
from tests.support.lengths import lengths
from tests.support.strict_vendor import QPS, strict_vendor

SEED = 7
POLLS = 6  # allowed a task, on average


@pytest.mark.parametrize("items", lengths(long=200, thorough=1000))
def test_killed_while_reports_are_awaited_every_task_is_read_once_paid_once_and_within_the_cap(
    tmp_path: Path, items: int
) -> None:
    """A strict vendor with 3-second tokens and 50 calls a second, 5 % faults and 8 kills."""
    warm_up()
    dice = random.Random(SEED)
    cap = POLLS * items
    with strict_vendor(tmp_path, cache=CACHE, faults=FAULTS, seed=SEED) as vendor:
        jobs = Jobs(
            tmp_path,
            vendor,
            items,
            api={"qps": QPS, "budget": {"query_calls": cap}},
            task={"report": "wait", "settle_s": 60},
        )
        job = jobs.next()
        kills, code = 0, -9
        while code in (-9, 4):
            process = _FORKS.Process(target=live, args=(job, None, APART_S))
            process.start()
            if kills < 8:
                process.join(dice.uniform(0.5, 1.0 + items / 120))
                if process.is_alive():
                    process.kill()
                    kills += 1
            process.join(300)
            code = process.exitcode if process.exitcode is not None else 99
            if (jobs.run / "journal.sqlite").exists():
                found = violations(jobs.history(dead=code == -9, ended=code in (0, 1)))
                assert not found, found[:20]
        history = jobs.history(ended=True)
        asked = vendor.stats.calls("query")
        times = [vendor.stats.polls_of(row.task_id) for row in history.worked_on.values() if row.task_id]
    assert kills
    states = [row.state for row in history.worked_on.values()]
    assert set(states) <= {REPORTED, REPORT_FAILED, IN_DOUBT, 20}
    assert TASKED not in states
    assert REPORTED in states
    assert asked <= cap
    waits = [later - earlier for asked in times for earlier, later in itertools.pairwise(asked)]
    assert min(waits, default=2.0) > 1.5  # 2 seconds from the answer that was lost or came, and answers take a while

"""A search is paid once: a kill costs at most the searches whose answers were not here yet."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline import RunOptions, run_job
from pipeline.journal.places import JOURNAL
from tests.support.jobs import ACCOUNT, FaultPlan, job, started, vendor
from tests.support.processes import until

ANSWERED, UNANSWERED = 40, 10


def paid_for(run: Path) -> int:
    """How many items the journal knows hits of, or more."""
    if not (run / JOURNAL).exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{run / JOURNAL}?mode=ro", uri=True)) as journal:
            found = journal.execute("SELECT count(*) FROM items WHERE segment IS NOT NULL OR seq IS NOT NULL")
            return int(found.fetchone()[0])
    except sqlite3.OperationalError:  # its tables are being made
        return 0


@pytest.mark.proofs
def test_a_kill_costs_no_search_whose_answer_has_come(tmp_path: Path) -> None:
    """Nearly all of them wait for the permit of their create, which comes once a second."""
    run, faults = tmp_path / "runs/job", f"search:hang@{ANSWERED + 1}-{ANSWERED + UNANSWERED}"
    pictures = ANSWERED + UNANSWERED
    with vendor(tmp_path, faults=FaultPlan.parse(faults, seed=1)) as server:
        slowly = {"qps": {"search": 1000, "create": 1}, "max_in_flight": pictures}
        path = job(tmp_path, url=server.url, pictures=pictures, api=slowly)
        with started("run", path, "--yes", cwd=tmp_path, **ACCOUNT) as process:
            until(lambda: server.stats.calls("search") == pictures, by=process)
            until(lambda: paid_for(run) == ANSWERED, by=process)
            process.kill()
        summary = run_job(path, overrides=["api.qps=1000"], options=RunOptions(environment=ACCOUNT))
        searched = server.stats.calls("search")
    assert searched == pictures + UNANSWERED
    assert summary.items["tasked"] + summary.items["in_doubt"] == pictures
    spent = summary.calls["search"]
    assert spent.sent + spent.unknown >= searched

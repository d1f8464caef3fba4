"""A run whose account is leased ends as soon as another machine tells what ended its own."""

import json
import time
from pathlib import Path

import pytest

from pipeline.calls.account import account_of
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.leases.folder_store import FolderStore
from pipeline.leases.stops import LASTS_S, StopReason, Stops
from tests.support.jobs import ACCOUNT, job, started, vendor
from tests.support.processes import ended, until_lines

CLIENT = Credentials(client_id=ACCOUNT["PATSNAP_CLIENT_ID"], client_secret=ACCOUNT["PATSNAP_CLIENT_SECRET"])


@pytest.mark.proofs
@pytest.mark.parametrize(
    ("of_job", "final", "code"),
    [(None, False, 4), ("job", True, 3), ("another-job", True, None)],
    ids=["of the account", "of this job", "of another job"],
)
def test_a_run_ends_with_the_exit_code_of_what_another_machine_met(
    tmp_path: Path, of_job: str | None, final: bool, code: int | None
) -> None:
    (tmp_path / "leases").mkdir()
    pictures = 2000 if code else 120
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=pictures, api={"qps": 20, "leases": "leases"})
        with started("run", path, cwd=tmp_path, XDG_STATE_HOME=str(tmp_path / "state"), **ACCOUNT) as run:
            until_lines(tmp_path / "runs/job/results.jsonl", 5, by=run)
            other = Stops(FolderStore.open(tmp_path / "leases"), account_of(server.url, CLIENT), of_job)
            other.look()
            assert other.tell(StopReason("the balance is used up", "67200005", time.time() + LASTS_S, final))
            _, said = ended(run)
    summary = json.loads((tmp_path / "runs/job/summary.json").read_text())
    assert (run.returncode, summary["exit_code"]) == (code or 0, code or 0), said
    assert ("another process with this account met it: the balance is used up" in summary["exit_reason"]) is bool(code)

"""Runs that end with exit code 7 because a product has a hit that somebody wants to hear of."""

import json
from pathlib import Path

import pytest

from pipeline import RunOptions, run_job
from pipeline.results.fail_on import condition_of
from tests.support.jobs import ACCOUNT, job, pipeline, vendor


@pytest.mark.proofs
def test_month_after_month_only_what_is_new_ends_with_exit_code_7(tmp_path: Path) -> None:
    options = RunOptions(environment=ACCOUNT, new=True, fail_on=condition_of("new:0.1"))
    with vendor(tmp_path) as server:
        codes = [run_job(job(tmp_path, url=server.url, pictures=count), options=options) for count in (2, 2, 3)]
    assert [summary.exit_code for summary in codes] == [7, 0, 7]
    assert codes[0].exit_reason.endswith("2 products have a new or risen hit at or above 0.1 (--fail-on)")
    assert codes[2].exit_reason.endswith("1 product has a new or risen hit at or above 0.1 (--fail-on)")
    for number, summary in enumerate(codes, start=1):
        name = "job" if number == 1 else f"job.{number}"
        assert json.loads((tmp_path / "runs" / name / "summary.json").read_text())["exit_code"] == summary.exit_code
    assert [summary.similar and summary.similar.since for summary in codes] == ["", "job", "job.2"]
    listed = (tmp_path / "runs" / "index.html").read_text()
    assert listed.index("job.3</a>") < listed.index("job.2</a>") < listed.index("job</a>")


@pytest.mark.proofs
def test_the_command_refuses_a_condition_that_is_none_before_anything_is_sent(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        done = pipeline("run", path, "--fail-on", "newer:0.9", cwd=tmp_path, **ACCOUNT)
        assert (done.returncode, server.stats.calls("search")) == (2, 0)
        assert "fix: " in done.stderr
        done = pipeline("run", path, "--fail-on", "hit:0.1", cwd=tmp_path, **ACCOUNT)
    assert done.returncode == 7
    assert "1 product has a hit at or above 0.1 (--fail-on)" in done.stdout

"""`search.reuse`: what another run directory of the account paid within its life is not paid again, and is named."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.calls.account import account_of
from pipeline.errors import SpecError
from pipeline.journal.places import JOURNAL
from pipeline.offline.plan import plan_job
from pipeline.results.records import read_records
from pipeline.run.load import load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions
from pipeline.sandbox.resources import resource
from tests.support.jobs import ACCOUNT, drawings, job, started, vendor
from tests.support.reusing import FREE, LOCAL, take


def test_second_run_within_an_hour_pays_nothing_and_names_what_it_took(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        first = take(tmp_path, server.url, "first", **LOCAL)
        assert first.plan.calls == {"upload": 2, "search": 4, "create": 4}
        second = take(tmp_path, server.url, "second", **LOCAL)
        assert (second.plan.calls, second.plan.reused) == (FREE, {"upload": 2, "search": 4, "create": 4})
        assert server.stats.calls("search") == 4
    assert second.summary.items["tasked"] == 5
    for id_, record in second.records.items():
        before = first.records[id_]
        assert record.task is not None
        assert (record.task, record.search, bytes(record.raw_hits)) == (
            before.task,
            before.search,
            bytes(before.raw_hits),
        )
        assert record.reused_from is not None
        assert (record.reused_from.run, record.reused_from.task, record.calls.total) == ("first", True, 0)
        assert record.reused_from.item == ("A" if id_ == "C" else id_)
        assert before.reused_from is None
        assert record.image.url == before.image.url


@pytest.mark.proofs
def test_without_reuse_nothing_is_taken_and_nothing_is_named(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        take(tmp_path, server.url, "first", **LOCAL)
        second = take(tmp_path, server.url, "second", search={"limit": 3}, **LOCAL)
    assert (second.plan.calls, second.plan.reused) == ({"upload": 2, "search": 4, "create": 4}, {})
    assert all(record.reused_from is None for record in second.records.values())


@pytest.mark.proofs
@pytest.mark.parametrize(
    ("change", "calls"),
    [
        ({"search": {"limit": 4, "reuse": "1h"}}, {"upload": 0, "search": 4, "create": 4}),
        ({"search": {"endpoint": "P060", "limit": 3, "reuse": "1h"}}, {"upload": 0, "search": 4, "create": 4}),
        ({"task": {"country": ["US"]}}, {"upload": 0, "search": 0, "create": 4}),
        ({"task": {"report_lang": "cn"}}, {"upload": 0, "search": 0, "create": 4}),
        ({"task": {"max_hits": 2}}, {"upload": 0, "search": 0, "create": 4}),
        ({"search": {"limit": 3, "min_score": 0.01, "reuse": "1h"}}, FREE),  # the very same hits
        ({"search": {"limit": 3, "min_score": 1, "reuse": "1h"}, "task": {"enabled": True}}, None),
        ({"task": {"enabled": False}}, FREE),
    ],
)
def test_only_what_was_asked_alike_is_taken(
    tmp_path: Path, change: dict[str, Any], calls: dict[str, int] | None
) -> None:
    """Another question is another search; another task, or another choice of hits, is another create."""
    with vendor(tmp_path) as server:
        take(tmp_path, server.url, "first", **LOCAL)
        second = take(tmp_path, server.url, "second", **LOCAL, **change)
    assert calls is None or second.plan.calls == calls
    taken = [record.reused_from for record in second.records.values()]
    assert all(taken) is (calls is None or not calls["search"])
    assert all(part is None or part.task is ("min_score" in str(change) and calls == FREE) for part in taken)


@pytest.mark.proofs
def test_local_picture_that_was_uploaded_in_another_way_is_paid_anew_and_a_url_is_not(tmp_path: Path) -> None:
    """With `fit` the vendor may see another picture, though the file is the same."""
    parts: dict[str, Any] = {"images": [{"id": "U", "url": drawings(1)[0]}, {"id": "A", "path": "a.jpg"}], **LOCAL}
    with vendor(tmp_path) as server:
        take(tmp_path, server.url, "first", **parts)
        second = take(tmp_path, server.url, "second", **parts | {"upload": {"public": True, "fit": True}})
    assert second.plan.calls == {"upload": 1, "search": 1, "create": 1}
    assert [second.records[id_].reused_from is not None for id_ in ("U", "A")] == [True, False]


@pytest.mark.proofs
def test_picture_that_was_replaced_is_searched_and_another_account_shares_nothing(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        take(tmp_path, server.url, "first", **LOCAL)
        (tmp_path / "b.jpg").write_bytes((resource("products") / "lamp-1.jpg").read_bytes())
        second = take(tmp_path, server.url, "second", **LOCAL)
        assert second.plan.calls == {"upload": 1, "search": 1, "create": 1}
        assert second.records["B"].reused_from is None
        third = take(tmp_path, server.url, "third", account={"PATSNAP_API_KEY": "sandbox-key"}, **LOCAL)
        assert third.plan.calls == {"upload": 2, "search": 4, "create": 4}


@pytest.mark.proofs
def test_a_directory_in_which_two_accounts_ran_is_taken_by_none(tmp_path: Path) -> None:
    """Also where the first of them was killed before any of its calls was counted by the hour."""
    with vendor(tmp_path) as server:
        take(tmp_path, server.url, "first", **LOCAL)
        with closing(sqlite3.connect(tmp_path / "runs/first" / JOURNAL)) as journal, journal:
            [(accounts,)] = journal.execute("SELECT value FROM meta WHERE key = 'accounts'").fetchall()
            journal.execute("DELETE FROM sent_calls")
        assert take(tmp_path, server.url, "second", **LOCAL).plan.calls == FREE
        with closing(sqlite3.connect(tmp_path / "runs/first" / JOURNAL)) as journal, journal:
            journal.execute("UPDATE meta SET value = ? WHERE key = 'accounts'", (f"{accounts} other",))
        for run in ("second", "third"):
            shutil.rmtree(tmp_path / "runs" / run, ignore_errors=True)
        third = take(tmp_path, server.url, "third", **LOCAL)
    assert third.plan.calls == {"upload": 2, "search": 4, "create": 4}


@pytest.mark.proofs
def test_what_is_older_than_the_job_says_or_near_its_end_is_not_taken(tmp_path: Path) -> None:
    """The task lives for 8 hours and is left alone in its last quarter of an hour; the hits are an hour younger."""
    from pipeline.run.donors import open_donors
    from pipeline.sources.urls import identity_of_url

    with vendor(tmp_path) as server:
        first = take(tmp_path, server.url, "first", search={"limit": 3, "reuse": "9h"}, **LOCAL)
        loaded = load(tmp_path / "job.yaml", environment=ACCOUNT)
    account, picture, now = account_of(server.url, loaded.credentials), identity_of_url(drawings(1)[0]), time.time()
    assert first.summary.items["tasked"] == 5
    with open_donors(loaded.spec, tmp_path / "runs/other", account, now=now) as donors:
        assert donors is not None
        seen = {}
        for hours in (0, 7.7, 7.8, 8.7, 8.8):
            found = donors.find(picture, paid=None, now=now + hours * 3600)
            seen[hours] = (found is not None and found.hits is not None, found is not None and found.task is not None)
    assert seen == {0: (True, True), 7.7: (True, True), 7.8: (True, False), 8.7: (True, False), 8.8: (False, False)}


@pytest.mark.proofs
def test_line_that_is_not_what_was_written_is_not_taken(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        take(tmp_path, server.url, "first", **LOCAL)
        results = tmp_path / "runs/first/results.jsonl"
        results.write_bytes(results.read_bytes().replace(b'"title":"', b'"title":"X', 1)[: results.stat().st_size])
        second = take(tmp_path, server.url, "second", **LOCAL)
    assert second.plan.calls["search"] == 4


@pytest.mark.proofs
def test_run_that_is_killed_while_it_reuses_goes_on_and_pays_nothing(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        rows = "".join(f"P{n:03},{url}\n" for n, url in enumerate(drawings(120)))

        def path(name: str) -> Path:
            file = job(tmp_path, url=server.url, pictures=0, output={"run": name}, search={"limit": 3, "reuse": "1h"})
            (tmp_path / "list.csv").write_text(f"id,url\n{rows}")
            return file

        first = LocalExecutor().run(load(path("first"), environment=ACCOUNT), RunOptions(environment=ACCOUNT))
        assert first.ok, first.exit_reason
        paid = (server.stats.calls("search"), server.stats.calls("create"))
        assert paid == (120, 120)
        second = path("second")
        results = tmp_path / "runs/second/results.jsonl"
        for kill in range(3):
            with started("run", second, cwd=tmp_path, **ACCOUNT) as process:
                goal = 30 * kill
                while process.poll() is None and not (results.exists() and results.read_bytes().count(b"\n") > goal):
                    time.sleep(0.01)
                process.kill()
                process.wait()
        summary = LocalExecutor().run(load(second, environment=ACCOUNT), RunOptions(environment=ACCOUNT))
        assert (summary.items["tasked"], (server.stats.calls("search"), server.stats.calls("create"))) == (120, paid)
    records = list(read_records(tmp_path / "runs/second"))
    assert len({record.item for record in records}) == len(records) == 120
    assert all(record.reused_from is not None and record.reused_from.task for record in records)


@pytest.mark.proofs
def test_plan_without_credentials_says_that_it_counts_nothing_as_reused(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        take(tmp_path, server.url, "first", **LOCAL)
        path = job(tmp_path, url=server.url, pictures=1, search={"limit": 3, "reuse": "1h"}, output={"run": "second"})
        plan = plan_job(path)
    assert plan.calls["search"] == 1
    assert any("no credentials are set here" in line for line in plan.warnings)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"reuse": "10h"}, "search.reuse: must be a time from 0h to 9h"),
        ({"reuse": "soon"}, "must be a time from 0h to 9h"),
        ({"reuse": 2}, "must be a time from 0h to 9h"),
    ],
)
def test_reuse_that_cannot_be_meant_is_refused(tmp_path: Path, search: dict[str, Any], said: str) -> None:
    path = job(tmp_path, url="https://connect.patsnap.com", pictures=1, search=search)
    with pytest.raises(SpecError) as refused:
        load(path, environment=ACCOUNT)
    assert said in refused.value.lines[0]
    assert json.loads(path.read_text())["search"] == search

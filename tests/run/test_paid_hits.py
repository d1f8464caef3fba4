"""Hits that are paid are seen while their item is open: in open.jsonl and on the page, whichever command wrote them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.results.records import read_records
from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, pipeline, vendor
from tests.support.pages import Page

# One is refused at its create, one gets no answer to it, one is tasked, and one is refused at its search.
FAULTS = FaultPlan.scripted({"search": ["ok", "ok", "ok", "68300010"], "create": ["68300010", "lost", "ok"]})


class Ended:
    """A run of four items that has ended, each command in a process of its own."""

    def __init__(self, folder: Path, url: str, **parts: Any) -> None:
        self.folder, self.run = folder, folder / "runs" / "job"
        self.path = job(folder, url=url, pictures=4, api={"max_in_flight": 1}, **parts)
        assert pipeline("run", self.path, "-q", cwd=folder, **ACCOUNT).returncode == 1

    def command(self, *arguments: str | Path) -> str:
        done = pipeline(*arguments, cwd=self.folder)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def hits(self) -> dict[str, int]:
        """The hits of each open item, which must be on the page too."""
        records = lines(self.run / "open.jsonl")
        page = Page(self.run / "report.html")
        for record in records:
            shown = page.product(record["item"])
            assert shown.status == record["status"]
            assert [hit.number for hit in shown.hits] == [hit["patent_pn"] for hit in record["hits"]]
        return {record["item"]: len(record["hits"]) for record in records}


@pytest.fixture
def ended(tmp_path: Path) -> Iterator[Ended]:
    with vendor(tmp_path, faults=FAULTS) as server:
        yield Ended(tmp_path, server.url)


@pytest.mark.proofs
def test_what_failed_or_is_in_doubt_at_its_create_shows_its_paid_hits(ended: Ended) -> None:
    assert ended.hits() == {"P0000": 3, "P0001": 3, "P0003": 0}
    found = {one.item: one.total > one.hits_found == len(one.hits) for one in Page(ended.run / "report.html").products}
    assert found == {"P0000": True, "P0001": True, "P0002": True, "P0003": False}
    by_id = {record.item: record for record in read_records(ended.run, include_open=True)}
    assert [hit["score"] for hit in by_id["P0000"].hits] == sorted(
        (h["score"] for h in by_id["P0000"].hits), reverse=True
    )


@pytest.mark.proofs
def test_the_hits_are_still_there_after_a_resolve_and_after_a_repair(ended: Ended) -> None:
    ended.command("resolve", ended.run, "--not-created", "P0001")
    assert ended.hits() == {"P0000": 3, "P0003": 0}
    whole = (ended.run / "results.jsonl").read_bytes()
    (ended.run / "results.jsonl").write_bytes(whole.replace(b"tasked", b"tasket", 1))
    ended.command("repair", ended.run)
    assert ended.hits() == {"P0000": 3, "P0002": 0, "P0003": 0}


@pytest.mark.proofs
def test_hits_that_are_gone_are_called_gone(ended: Ended) -> None:
    for segment in (ended.run / "spool").iterdir():
        segment.unlink()
    ended.command("resolve", ended.run, "--not-created", "P0001")
    [first, _] = lines(ended.run / "open.jsonl")
    assert (first["item"], first["hits"], first["hits_lost"], first["search"]["hits"]) == ("P0000", [], True, 3)
    gone = Page(ended.run / "report.html").product("P0000")
    assert (gone.hits_found, gone.hits, gone.rest["gone"]) == (3, [], True)


@pytest.mark.proofs
@pytest.mark.parametrize("kept", [0, 2])
def test_a_job_that_keeps_few_hits_keeps_few_of_open_items_too(tmp_path: Path, kept: int) -> None:
    with vendor(tmp_path, faults=FAULTS) as server:
        ended = Ended(tmp_path, server.url, output={"hits": kept})
    assert ended.hits() == {"P0000": kept, "P0001": kept, "P0003": 0}
    shown = Page(ended.run / "report.html").product("P0000")
    assert (shown.hits_found, len(shown.hits), "gone" in shown.rest) == (3, kept, False)


@pytest.mark.proofs
def test_open_lines_hold_ascii_alone(ended: Ended) -> None:
    assert (ended.run / "open.jsonl").read_bytes().isascii()

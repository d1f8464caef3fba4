"""The first items of an account with an endpoint that is new to it: one alone, then two, then as many as there are."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline import RunOptions, RunSummary, run_job
from pipeline.endpoints.patsnap.credentials import credentials_from
from pipeline.run.first_calls import UsedEndpoints, used_endpoints
from pipeline.run.load import Job, load
from tests.support.clients import HIT
from tests.support.jobs import ACCOUNT, job, lines, started
from tests.support.misbehaving import TOKEN, Caller, envelope, http, serving
from tests.support.processes import PATIENCE_S, until
from tests.support.terminal import on_a_terminal

FOUND = b'{"data":{"patent_messages":[%b],"total_search_result_count":1},"status":true,"error_code":0}' % HIT
BILLED = "x-openapi-amount: 1"


class Vendor:
    """Answers every call, and writes down the number of its picture.

    held     calls that are never answered
    refused  pictures that are refused
    """

    def __init__(self, *headers: str, held: frozenset[tuple[str, int]] = frozenset()) -> None:
        self.calls: list[tuple[str, int]] = []
        self.held = held
        self.refused: set[int] = set()
        self._headers = headers
        self._missing = 0
        self._all_there = asyncio.Event()

    def answer_only_together(self, searches: int) -> None:
        """Answer no search before so many are there."""
        self._missing = searches
        self._all_there.clear()

    async def __call__(self, caller: Caller) -> None:
        for _ in range(10_000):
            seen = await caller.request()
            if seen.path.endswith("token"):
                await caller.say(http(200, TOKEN))
                continue
            kind = "create" if seen.path.endswith("creation") else "search"
            body = json.loads(seen.body) if seen.body else dict(seen.query)
            url = body["urls"][0] if kind == "create" else body["url"]
            number = int(url.rpartition("=")[2])
            self.calls.append((kind, number))
            if (kind, number) in self.held:
                await caller.reader.read()
                return
            await caller.say(http(200, await self._answer(kind, number), *self._headers))

    async def _answer(self, kind: str, number: int) -> bytes:
        if number in self.refused:
            return envelope(68300010)
        if kind == "create":
            return b'{"data":{"task_id":"task-%d"},"status":true,"error_code":0}' % number
        self._missing -= 1
        if self._missing <= 0:
            self._all_there.set()
        await self._all_there.wait()
        return FOUND


def run(path: Path, *overrides: str, **options: Any) -> RunSummary:
    return run_job(path, overrides=overrides, options=RunOptions(environment=ACCOUNT, **options))


def pictures(first: int, count: int) -> list[str]:
    return [f"https://images.example.com/a.jpg?n={n}" for n in range(first, first + count)]


def used(path: Path) -> UsedEndpoints:
    found = used_endpoints(load(path, environment=ACCOUNT))
    assert found is not None
    return found


def test_on_a_new_account_one_item_runs_alone_to_its_end_then_two_and_then_all(tmp_path: Path) -> None:
    calls_of = Vendor(BILLED)
    said: list[str] = []
    with serving(calls_of) as url:
        path = job(tmp_path, url=url, pictures=pictures(0, 8), known=False)
        assert run(path, say=said.append).exit_code == 0
    calls = calls_of.calls
    assert calls[:2] == [("search", 0), ("create", 0)]
    assert set(calls[2:6]) == {(kind, number) for kind in ("search", "create") for number in (1, 2)}
    assert len(calls) == 16
    (line,) = said
    assert "has not used P009 and AI39-1 on this machine before" in line
    assert "'P0000' is tasked; calls sent: 1 search, 1 create; 127.0.0.1" in line
    assert "billed 2 units" in line
    assert used(path).counts() == {"P009": 3, "AI39-1": 3}


def test_of_workers_that_begin_together_on_one_machine_one_tells_of_the_first_item(tmp_path: Path) -> None:
    said: list[str] = []
    with serving(Vendor()) as url:
        path = job(tmp_path, url=url, pictures=pictures(0, 2), known=False)
        other = used(path)
        assert not other.is_told(["P009", "AI39-1"])
        assert run(path, say=said.append).exit_code == 0
        assert said == [], "the other one tells, and goes on"
        other.end_telling()
    assert other.is_told(["P009", "AI39-1"]), "an item has ended well with them meanwhile"


def test_who_told_and_ended_keeps_nobody_from_telling_of_an_endpoint_that_is_new_still(tmp_path: Path) -> None:
    path = job(tmp_path, url="https://connect.example.com", known=False)
    first = used(path)
    assert not first.is_told(["P009"])
    assert used(path).is_told(["P009"])
    first.end_telling()
    assert not used(path).is_told(["P009"])


def test_units_that_are_not_said_are_not_called_zero_after_the_first_item(tmp_path: Path) -> None:
    said: list[str] = []
    with serving(Vendor()) as url:
        run(job(tmp_path, url=url, pictures=pictures(0, 2), known=False), say=said.append)
    assert "units billed: not said by 127.0.0.1" in said[0]


@pytest.mark.proofs
def test_later_runs_of_the_account_begin_with_all_items_at_once_and_say_nothing(tmp_path: Path) -> None:
    """Nothing would be answered if fewer than all five were sent at once."""
    calls_of = Vendor()
    said: list[str] = []
    with serving(calls_of) as url:
        run(job(tmp_path, url=url, pictures=pictures(0, 3), known=False))
        calls_of.answer_only_together(5)
        path = job(tmp_path, url=url, pictures=pictures(3, 5), known=False)
        assert run(path, new=True, say=said.append).exit_code == 0
    assert said == []


@pytest.mark.proofs
def test_each_endpoint_is_new_once(tmp_path: Path) -> None:
    said: list[str] = []
    with serving(Vendor()) as url:
        path = job(tmp_path, url=url, pictures=pictures(0, 3), known=False)
        run(path, say=said.append)
        run(path, "search.endpoint=P060", new=True, say=said.append)
        run(path, "search.endpoint=P060", new=True, say=said.append)
    assert [line[:44] for line in said] == [
        "this account has not used P009 and AI39-1 on",
        "this account has not used P060 on this machi",
    ]


def test_another_account_is_new_again(tmp_path: Path) -> None:
    path = job(tmp_path, url="https://connect.example.com")
    other = Job(load(path, environment=ACCOUNT).spec, credentials_from({"PATSNAP_API_KEY": "another-key"})[0])
    assert used(path).counts()["P009"] == 3
    found = used_endpoints(other)
    assert found is not None
    assert found.counts() == {}


def test_the_sandbox_is_never_new(tmp_path: Path) -> None:
    assert used_endpoints(load(job(tmp_path, url="sandbox"), environment={})) is None


def test_a_list_of_refused_pictures_still_comes_to_its_end_and_keeps_the_account_new(tmp_path: Path) -> None:
    calls_of = Vendor()
    calls_of.refused = set(range(6))
    with serving(calls_of) as url:
        path = job(tmp_path, url=url, pictures=pictures(0, 6), known=False)
        assert run(path).items["failed"] == 6
    assert used(path).counts() == {}


def test_a_picture_that_costs_nothing_is_not_the_first_item(tmp_path: Path) -> None:
    """It cannot be read, so no call was made: the next one runs alone."""
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    calls_of = Vendor()
    with serving(calls_of) as url:
        images = [{"path": "broken.jpg"}, {"manifest": "list.csv"}]
        path = job(tmp_path, url=url, pictures=pictures(0, 4), known=False, images=images, upload={"public": True})
        assert run(path).items["tasked"] == 4
    assert calls_of.calls[:2] == [("search", 0), ("create", 0)]


async def no(_: str) -> bool:
    return False


async def yes(_: str) -> bool:
    return True


@pytest.mark.proofs
def test_a_person_who_does_not_want_to_go_on_has_paid_for_one_item_and_is_asked_again_next_time(tmp_path: Path) -> None:
    calls_of = Vendor()
    with serving(calls_of) as url:
        path = job(tmp_path, url=url, pictures=pictures(0, 5), known=False)
        stopped = run(path, confirm=no)
        assert calls_of.calls == [("search", 0), ("create", 0)]
        assert used(path).counts() == {}
        assert run(path, confirm=no).items["settled"] == 2
        ended = run(path, confirm=yes)
    assert (stopped.exit_code, stopped.items["settled"], stopped.items["not_started"]) == (1, 1, 4)
    assert stopped.exit_reason == "stopped after the first item, as you said; run again to go on"
    assert (ended.exit_code, ended.items["settled"], len(calls_of.calls)) == (0, 5, 10)


def test_a_signal_while_it_is_asked_ends_the_run_in_good_order(tmp_path: Path) -> None:
    async def interrupted(_: str) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep(PATIENCE_S)
        return False

    with serving(Vendor()) as url:
        path = job(tmp_path, url=url, pictures=pictures(0, 3), known=False)
        summary = run(path, confirm=interrupted)
    assert (summary.exit_code, summary.items["settled"], summary.items["not_started"]) == (130, 1, 2)


def test_counts_that_cannot_be_read_or_written_end_no_run(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("[1")
    assert UsedEndpoints(tmp_path, "a").counts() == {}
    UsedEndpoints(tmp_path / "a.json", "b").keep("P009", 1)  # a file where the folder should be


@pytest.mark.proofs
def test_a_kill_at_any_item_of_the_first_three_lets_the_next_run_go_on_with_care(tmp_path: Path) -> None:
    """Killed while two are under way after the first: two, not all, are begun again."""
    calls_of = Vendor(held=frozenset({("search", 1), ("search", 2)}))
    with serving(calls_of) as url:
        path = job(tmp_path, url=url, pictures=pictures(0, 6), known=False)
        with started("run", path, "--yes", cwd=tmp_path, **ACCOUNT) as process:
            until(lambda: len(calls_of.calls) == 4, by=process)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert set(calls_of.calls[2:]) == calls_of.held
        assert used(path).counts() == {"P009": 1, "AI39-1": 1}
        calls_of.held = frozenset()
        calls_of.calls.clear()
        assert run(path).exit_code == 0
    assert set(calls_of.calls[:4]) == {(kind, number) for kind in ("search", "create") for number in (1, 2)}
    assert len(lines(tmp_path / "runs/job/results.jsonl")) == 6


@pytest.fixture
def at_a_terminal(tmp_path: Path) -> Iterator[tuple[Vendor, Path]]:
    calls_of = Vendor()
    with serving(calls_of) as url:
        yield calls_of, job(tmp_path, url=url, pictures=pictures(0, 5), known=False)


@pytest.mark.proofs
@pytest.mark.parametrize(
    ("options", "answer", "code", "calls"),
    [([], "y\nn\n", 1, 2), ([], "y\ny\n", 0, 10), (["--yes"], "", 0, 10), (["--quiet"], "y\ny\n", 0, 10)],
    ids=["no", "yes", "not asked", "quiet"],
)
def test_on_a_terminal_it_is_asked_after_the_first_item(
    at_a_terminal: tuple[Vendor, Path], tmp_path: Path, options: list[str], answer: str, code: int, calls: int
) -> None:
    calls_of, path = at_a_terminal
    ended, said = on_a_terminal(["run", str(path), *options], answer=answer, cwd=tmp_path)
    assert (ended, len(calls_of.calls)) == (code, calls)
    assert ("Go on with the rest? [y/N]" in said) == bool(answer)
    assert "one item ran alone" in said

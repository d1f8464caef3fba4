"""The ways of use that power losses are proved in, and a vendor that answers all that runs of them ask.

It is in the run's own process, as `workload.Vendor` is; what it answers depends on the picture and on nothing else.
"""

import random
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from pipeline.endpoints.details import PatentDetail
from pipeline.endpoints.interface import Answer
from pipeline.engine import details, patent_batches
from pipeline.errors import TryAgain
from pipeline.journal.sql.database import Connection
from pipeline.models import Choice, Hits, Kind
from pipeline.ports import Endpoint, Meter
from pipeline.reports import Comparison, Progress, Report, WholeReport
from pipeline.run import known_patents
from tests.proof.told import noting_steps
from tests.proof.ways import BEST, COUNTRY, PLAIN, WAIT, Way
from tests.proof.workload import Diary, Vendor, hits_of
from tests.support.fakes import NOW

DEPTH, TOTAL, FEW = 150, 170, 8
STATE = "state"  # the user's state folder, beside the runs
TOLD_LATE_S = 0.004  # a record waits so long for its details

RECORDED = (
    PLAIN,
    Way("wait", parts={"task": WAIT}),
    Way("deep", pages=2, parts={"search": {"depth": DEPTH}}),
    Way("views", views=2, parts={"search": {"endpoint": "P061"}}),
    Way("details", parts={"details": BEST}),
    Way("families, wait", parts={"details": {**BEST, "family": True}, "task": WAIT}),
    Way("submit", parts={"method": "submit", "search": {}, "task": {"country": COUNTRY}}),
    Way(
        "deep views, details, wait",
        pages=2,
        views=3,
        parts={"search": {"endpoint": "P061", "depth": DEPTH}, "details": BEST, "task": WAIT},
    ),
)


class WayVendor(Vendor):
    """Answers deep searches, submits, questions for their reports, and questions for patents.

    `tasks` holds the picture of each task that this vendor, or one before it, has made.
    """

    def __init__(self, diary: Diary, *, way: Way, tasks: dict[str, str], seed: int, name: str, calm: bool) -> None:
        super().__init__(diary, seed=seed, name=name, calm=calm)
        self._way = way
        self._pictures = tasks

    async def call(self, endpoint: Endpoint[Any, Any], asked: Any, meter: Meter) -> Any:
        if endpoint.kind is Kind.DETAILS:
            return await self._patents(endpoint, asked, meter)
        answered = await super().call(endpoint, asked, meter)
        if endpoint.kind is not Kind.SEARCH or self._way is PLAIN:
            return answered
        request = endpoint.request(asked)
        question = dict(request.query) if request.body is None else msgspec.json.decode(request.body)
        raw = b"[]" if answered.array == b"[]" else None
        return endpoint.read(Answer(200, _body(self._way, asked, question, raw), "asked", NOW))

    def found(self, url: str) -> Hits:
        return hits_of(url) if self._way is PLAIN else hits_in(self._way, url)

    async def note_executed(self, url: str, task_id: str, choice: Choice) -> None:
        self._pictures[task_id] = url
        if self._way.submits:
            choice = Choice(hits_in(self._way, url).array, 0, 0)
        await super().note_executed(url, task_id, choice)

    def report(self, task_id: str) -> Report:
        url = self._pictures[task_id]
        found = hits_in(self._way, url)
        compared = (Comparison(patent_id=_id(url, 0), score=80, score_of_1=0.8, risk_level="High"),)
        data = msgspec.json.encode({"task_id": task_id, "task_status": Progress.DONE})
        if not self._way.submits:
            return Report(Progress.DONE, compared, data, "polled", NOW)
        drawing = b"\x89PNG" + f"the lines of {url}".encode() * 40
        return WholeReport(Progress.DONE, compared, data, "polled", NOW, found, drawing)

    async def _patents(self, endpoint: Endpoint[Any, Any], ids: tuple[str, ...], meter: Meter) -> Mapping[str, Any]:
        """Answer a question for patents: each that is found is billed, one in seven is not; now and then none is."""
        request = endpoint.request(ids)
        dice = random.Random(f"{self.run} {ids}")
        await meter.before(Kind.DETAILS, f"{self.run}-{ids[0]}")
        if Kind.DETAILS in self.stopped:
            meter.not_executed(Kind.DETAILS)
            raise TryAgain("stopping", code="stopping", sent=False)
        meter.sent(Kind.DETAILS)
        found = [id_ for id_ in ids if zlib.crc32(id_.encode()) % 7]
        busy = not self._calm and dice.random() < 0.1
        for _ in () if busy else found:
            self._diary.sent(Kind.DETAILS)
        await anyio.sleep(TOLD_LATE_S * dice.choice((0, 0, 1, 3)))
        if busy:
            meter.not_executed(Kind.DETAILS)
            raise TryAgain("busy", code="67200100")
        if "family" in request.path:
            return {id_: f"family of {id_}" for id_ in found}
        return {id_: PatentDetail(number=f"US{id_}S", as_of="2026-11-21T12:00:00Z") for id_ in found}


def hits_in(way: Way, url: str) -> Hits:
    """Return all hits of a picture in a way of use, as one list."""
    array = [_hit(url, number) for number in range(DEPTH if way.pages > 1 else FEW)]
    scores = tuple(hit["score"] for hit in array)
    return Hits(msgspec.json.encode(array), scores, (True,) * len(array), len(array), "asked", NOW)


def _body(way: Way, url: str, question: Mapping[str, Any], raw: bytes | None) -> bytes:
    start, limit, total = int(question.get("offset", 0)), int(question["limit"]), TOTAL if way.pages > 1 else FEW
    page = [_hit(url, number) for number in range(start, min(total, start + limit))]
    hits, total = (msgspec.json.encode(page), total) if raw is None else (raw, 0)
    return b'{"data":{"patent_messages":%b,"total_search_result_count":%d},"status":true}' % (hits, total)


def _hit(url: str, number: int) -> dict[str, Any]:
    id_ = _id(url, number)
    link = f"https://cdn.example/{id_}.png"
    return {"url": link, "score": 0.99 - number / 1000, "title": id_ * 4, "patent_id": id_, "patent_pn": f"US{id_}S"}


def _id(url: str, number: int) -> str:
    return f"{zlib.crc32(url.encode()):08x}-{number:03}"


@contextmanager
def used(base: Path, diary: Diary, connecting: Callable[[Path], Connection]) -> Iterator[None]:
    """Let runs below a folder note their steps, keep their patents there on the recorded disk, and wait for little."""
    disk = SimpleNamespace(
        connect=lambda path, **_: connecting(path), Connection=sqlite3.Connection, Error=sqlite3.Error
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(base / STATE))
        patch.setattr(known_patents, "sqlite3", disk)
        patch.setattr(known_patents, "is_gone", lambda pid, started: True)  # every run but the one at hand is over
        patch.setattr(details, "WAIT_S", TOLD_LATE_S)
        for name in ("LINGER_S", "GATHER_S"):
            patch.setattr(patent_batches, name, 0.001)
        noting_steps(patch, diary.told)
        yield

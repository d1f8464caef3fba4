"""A vendor that does what it is told, and the parts of a run around it, composed as the application composes them."""

import functools
import shutil
import zlib
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pipeline.calls.stats import Stats
from pipeline.endpoints.interface import Creation, Endpoints, PictureFile
from pipeline.endpoints.patsnap.endpoints import endpoints_for
from pipeline.engine.engine import Engine
from pipeline.engine.intake import Intake
from pipeline.engine.parts import Ports
from pipeline.errors import CallError, GivenUp, InDoubt, Stopping
from pipeline.job.schema import JobSpec
from pipeline.journal.journal import Journal
from pipeline.journal.sql.database import Connection
from pipeline.journal.storage import JOURNAL, RESULTS, Disk, connect, open_disk
from pipeline.journal.writer import Writer
from pipeline.models import UPLOAD_LIFE_S, Calls, Choice, Hits, Item, Kind, State, Task, Upload, Work
from pipeline.ports import Endpoint, Meter
from pipeline.results.record import RecordLines
from pipeline.sources.pictures import Picture

NOW = 1_795_262_400.0  # 2026-11-21T12:00:00Z


@dataclass(frozen=True, slots=True)
class Lost:
    """A create that is executed and whose answer never comes."""

    code: str = "no_answer"


async def at_once(kind: Kind, url: str) -> None:
    """The vendor answers without a pause."""


@dataclass
class FakeVendor:
    """Answers well unless `scripts[kind, url]` says otherwise, one entry a call. `executed` is the truth of creates."""

    scripts: Mapping[tuple[Kind, str], Iterable[Hits | CallError | GivenUp | Lost]] = field(default_factory=dict)
    answering: Callable[[Kind, str], Awaitable[None]] = at_once
    run: str = "run"
    now: float = NOW
    executed: list[tuple[str, str]] = field(default_factory=list)  # picture URL, task id
    sent: list[tuple[Kind, str]] = field(default_factory=list)
    chosen: dict[str, Choice] = field(default_factory=dict)
    under_way: int = 0
    most_under_way: int = 0
    stopped: set[Kind] = field(default_factory=set)
    stats: Stats = field(default_factory=Stats)

    def __post_init__(self) -> None:
        self._answers = defaultdict(deque, {key: deque(answers) for key, answers in self.scripts.items()})

    async def call(self, endpoint: Endpoint[Any, Any], asked: Any, meter: Meter) -> Any:
        match endpoint.kind:
            case Kind.UPLOAD:
                return await self.upload(asked, meter)
            case Kind.SEARCH:
                return await self.search(asked, meter)
            case Kind.CREATE:
                return await self.create(asked, meter)
            case _:
                raise AssertionError(endpoint.kind)

    async def upload(self, picture: PictureFile, meter: Meter) -> Upload:
        url = f"https://up.example/{zlib.crc32(picture.data):08x}.{picture.file_type}"
        await self._send(Kind.UPLOAD, url, meter)
        return Upload(url, self.now + UPLOAD_LIFE_S)

    async def search(self, url: str, meter: Meter) -> Hits:
        answer = await self._send(Kind.SEARCH, url, meter)
        return answer if isinstance(answer, Hits) else hits(at=self.now)

    async def create(self, asked: Creation, meter: Meter) -> Task:
        self.chosen[asked.url] = asked.choice
        await self._send(Kind.CREATE, asked.url, meter)
        return Task(self.executed[-1][1], self.now)

    retries_left: bool = True

    def stop(self, *kinds: Kind) -> None:
        self.stopped.update(kinds or Kind)

    async def _send(self, kind: Kind, url: str, meter: Meter) -> Hits | None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        answer = self._answers[kind, url].popleft() if self._answers[kind, url] else None
        failure = answer.error if isinstance(answer, GivenUp) else answer
        executed = kind is Kind.CREATE and not isinstance(failure, CallError)
        try:
            await meter.before(kind, f"{self.run}-{kind}-{url}")
            if kind in self.stopped:
                raise Stopping("stopping")
            if isinstance(failure, CallError) and not failure.sent:
                raise answer
            meter.sent(kind)
            self.sent.append((kind, url))
            self.stats.sent[kind] += 1
            await self.answering(kind, url)
            if executed:
                self.executed.append((url, f"{self.run}-task-{len(self.executed)}"))
            if isinstance(answer, Lost):
                raise InDoubt("the answer never came", code=answer.code)
            if isinstance(failure, CallError):
                raise answer
        except (Stopping, CallError, GivenUp) as raised:
            error = raised.error if isinstance(raised, GivenUp) else raised
            if not isinstance(error, InDoubt):
                meter.not_executed(kind, sent=getattr(error, "sent", False))
            raise
        finally:
            self.under_way -= 1
        return answer


def hits(
    *scores: float | None, complete: Iterable[bool] | None = None, total: int | None = None, at: float = NOW
) -> Hits:
    """An answer with these scores; by default two hits."""
    scores = scores or (0.9, 0.5)
    array = msgspec.json.encode([{"patent_id": str(n), "title": "Täsche", "score": s} for n, s in enumerate(scores)])
    whole = tuple(complete) if complete is not None else (True,) * len(scores)
    return Hits(array, tuple(scores), whole, len(scores) if total is None else total, "asked", at)


NOTHING = Hits(b"[]", (), (), 0, "asked", NOW)


def item(number: int, **changes: Any) -> Item:
    """The item of a number: a URL of its own unless changed."""
    plain = {"id": f"SKU-{number}", "source": url(number), "local": False, "origin": f"images[{number}]", "labels": {}}
    return Item(**plain | changes)


def url(number: int) -> str:
    return f"https://cdn.example/{number}.jpg"


def job(folder: Path, *, images: int = 1, **parts: Any) -> JobSpec:
    """A job of so many URLs in `folder`; `parts` are the sections of a job file."""
    listed = [{"id": f"SKU-{n}", "url": url(n)} for n in range(1, images + 1)]
    spec = JobSpec.model_validate({"version": 1, "name": "job", "images": listed, **parts})
    return spec.with_folder(folder)


def endpoints_of(spec: JobSpec) -> Endpoints:
    """The endpoints of a job, as the application puts them together."""
    return endpoints_for(spec.search, report_lang=spec.task.report_lang, country=spec.task.country)


Connect = Callable[[Path], Connection]


@asynccontextmanager
async def open_journal(
    folder: Path, *, budgets: Mapping[Kind, int] | None = None, connect: Connect = connect, linger_s: float = 0.0
) -> AsyncIterator[Journal]:
    """A journal on a real disk; closed in the end unless writing has failed."""
    folder.mkdir(exist_ok=True)
    writer = Writer(functools.partial(open_disk, folder, now=NOW, connect=connect), linger_s=linger_s)
    await writer.start()
    journal = Journal(writer, budgets=budgets or {})
    await journal.begin()
    try:
        yield journal
    finally:
        await journal.close()


async def look(journal: Journal, read: Callable[[Disk], Any]) -> Any:
    """Read something of the disk in the journal's own thread."""
    return await journal._writer.do(lambda disk: read(disk))


def dead_copy(folder: Path, into: Path) -> Path:
    """The run directory as a death at this moment leaves it: nothing is closed, SQLite's log is not folded in."""
    shutil.copytree(folder, into)
    return into


async def engine_of(
    spec: JobSpec,
    journal: Journal,
    vendor: FakeVendor,
    items: Iterable[Item],
    *,
    pictures: Mapping[str, Picture] | None = None,
    generation: int = 1,
) -> Engine:
    """An engine over these items, none of them in yet."""
    intake = Intake(items, journal, generation=generation, fingerprint=f"print-{generation}")
    read = (pictures or {}).__getitem__
    ports = Ports(spec, endpoints_of(spec), vendor, journal, read, now=lambda: vendor.now)
    return Engine(ports, intake, RecordLines(spec, "0" * 64), tally=await journal.begin())


def admitted(journal: Journal, *numbers: int, **changes: Any) -> Awaitable[Any]:
    """Enter items by number, in their first generation."""
    return journal.admit([item(n, **changes) for n in numbers], generation=1, accept_changes=False)


def records(folder: Path) -> list[dict[str, Any]]:
    """The lines of results.jsonl."""
    return [msgspec.json.decode(line) for line in (folder / RESULTS).read_bytes().splitlines()]


def rows(folder: Path, columns: str = "id, state") -> list[Any]:
    """Rows of the journal on disk, by their number; a state as State."""
    connection = connect(folder / JOURNAL)
    try:
        found = connection.execute(f"SELECT {columns} FROM items ORDER BY ord").fetchall()
    finally:
        connection.close()
    return found


def states(folder: Path) -> dict[str, State]:
    """The state of every item on disk."""
    return {id_: State(state) for id_, state in rows(folder)}


def work_of(number: int, **changes: Any) -> Work:
    """An item on its way that stands at `ord` = its number."""
    return Work(**{"ord": number, "item": item(number), "calls": Calls(), **changes})


def assert_index_matches(folder: Path) -> None:
    """Every journalled (seq, offset, length, CRC) is what lies in results.jsonl, without a gap up to its end."""
    data = (folder / RESULTS).read_bytes()
    lines = sorted(rows(folder, "seq, offset, length, crc, id"), key=lambda row: (row[0] is None, row[0]))
    end = 0
    for number, (seq, offset, length, crc, id_) in enumerate(row for row in lines if row[0] is not None):
        line = data[offset : offset + length]
        assert (seq, offset, zlib.crc32(line)) == (number, end, crc)
        assert line.endswith(b"\n")
        assert msgspec.json.decode(line)["item"] == id_
        end += length
    assert end == len(data)


def assert_settled_once(folder: Path) -> None:
    """One line for every settled item, none for any other."""
    settled = {id_ for id_, state in states(folder).items() if State.TASKED <= state < State.FAILED}
    assert Counter(record["item"] for record in records(folder)) == dict.fromkeys(settled, 1)

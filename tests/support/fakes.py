"""A vendor that does what it is told, and the parts of a run around it, composed as the application composes them."""

import functools
import shutil
import zlib
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline.calls.stats import Stats
from pipeline.endpoints.interface import Creation, Endpoints, PictureFile
from pipeline.endpoints.patsnap.endpoints import endpoints_for
from pipeline.engine.engine import Engine
from pipeline.engine.intake import Intake
from pipeline.engine.parts import Ports
from pipeline.errors import CallError, GivenUp, InDoubt, Stopping
from pipeline.job.schema import JobSpec
from pipeline.journal.drawing import SharedCaps
from pipeline.journal.journal import Journal
from pipeline.journal.places import JOURNAL, RESULTS
from pipeline.journal.purse import Tariff
from pipeline.journal.sql.database import Connection
from pipeline.journal.storage import Disk, connect, open_disk
from pipeline.models import UPLOAD_LIFE_S, Calls, Choice, Hits, Item, Kind, State, Task, Upload, Work
from pipeline.ports import Endpoint, Meter
from pipeline.reports import Comparison, Progress, Report
from pipeline.results.record import RecordLines
from pipeline.sources.pictures import Picture
from pipeline.views import is_url, joined_views, views_of
from tests.support.virtual_time import AwaitedWriter

NOW = 1_795_262_400.0  # 2026-11-21T12:00:00Z


class Lost(NamedTuple):
    """A create that is executed and whose answer never comes."""

    code: str = "no_answer"


Reply = Hits | CallError | GivenUp | Lost | None  # how a call ends; None: with a good answer


def hits(*scores: float | None, complete: Any = None, total: int | None = None, at: float = NOW) -> Hits:
    """Make an answer with these scores; by default two hits. `complete` says which of them have all fields."""
    scores = scores or (0.9, 0.5)
    array = msgspec.json.encode([{"patent_id": str(n), "title": "Täsche", "score": s} for n, s in enumerate(scores)])
    whole = tuple(complete) if complete is not None else (True,) * len(scores)
    return Hits(array, tuple(scores), whole, len(scores) if total is None else total, "asked", at)


def report_of(task_id: str, progress: Progress = Progress.DONE, *, at: float = NOW) -> Report:
    """Make an answer about a task: of one that is done, a comparison of the first hit."""
    done = progress is Progress.DONE
    said = (Comparison(patent_id="0", score=80, score_of_1=0.8, risk_level="High"),) if done else ()
    return Report(progress, said, msgspec.json.encode({"task_id": task_id, "task_status": progress}), "polled", at)


NOTHING = Hits(b"[]", (), (), 0, "asked", NOW)


def link_of(picture: PictureFile) -> str:
    """Return the URL of a picture once it is uploaded."""
    return f"https://up.example/{zlib.crc32(picture.data):08x}.{picture.file_type}"


class PlainVendor:
    """Answers every call well, at once, and keeps nothing of it; a test overrides what it wants to be different.

    run      begins the ids of requests and tasks
    now      the wall clock: when answers come
    """

    run: str = "run"
    now: float = NOW
    retries_left: bool = True

    def __init__(self) -> None:
        self.stopped: set[Kind] = set()
        self.tasks = 0

    # --- what a test may override ---

    def reply(self, kind: Kind, url: str) -> Reply:
        """Decide how a call ends."""
        return None

    def found(self, url: str) -> Hits:
        """Make the good answer to a search."""
        return hits(at=self.now)

    async def arriving(self, kind: Kind) -> None:
        """Wait before a call is begun."""

    async def answering(self, kind: Kind, url: str) -> None:
        """Wait between a call and its answer."""

    def note_sent(self, kind: Kind, url: str) -> None:
        """Hear of a call that has left."""

    async def note_executed(self, url: str, task_id: str, choice: Choice) -> None:
        """Hear of a create that was executed, before its answer."""

    # --- what the engine calls ---

    async def call(self, endpoint: Endpoint[Any, Any], asked: Any, meter: Meter) -> Any:
        match endpoint.kind:
            case Kind.UPLOAD:
                return await self._upload(asked, meter)
            case Kind.SEARCH:
                reply = await self._send(Kind.SEARCH, asked, meter)
                return reply if isinstance(reply, Hits) else self.found(asked)
            case Kind.CREATE:
                return await self._create(asked, meter)
            case Kind.QUERY:
                await self._send(Kind.QUERY, asked, meter)
                return self.report(asked)
            case _:
                raise AssertionError(endpoint.kind)

    def report(self, task_id: str) -> Report:
        """Make the good answer to a question for a report."""
        return report_of(task_id, at=self.now)

    def stop(self, *kinds: Kind) -> None:
        self.stopped.update(kinds or Kind)

    async def _upload(self, picture: PictureFile, meter: Meter) -> Upload:
        url = link_of(picture)
        await self._send(Kind.UPLOAD, url, meter)
        return Upload(url, self.now + UPLOAD_LIFE_S)

    async def _create(self, asked: Creation, meter: Meter) -> Task:
        task_id = await self._send(Kind.CREATE, asked.url, meter, asked.choice)
        return Task(str(task_id), self.now)

    async def _send(self, kind: Kind, url: str, meter: Meter, choice: Choice | None = None) -> Hits | str | None:
        """Make one call as the client does; return the hits that `reply` wants, or the new task's id."""
        reply = self.reply(kind, url)
        failure = reply.error if isinstance(reply, GivenUp) else reply
        await self.arriving(kind)
        try:
            await meter.before(kind, f"{self.run}-{kind}-{url}")
            if kind in self.stopped:
                raise Stopping("stopping")
            if isinstance(reply, CallError | GivenUp) and not failure.sent:
                raise reply
            meter.sent(kind)
            self.note_sent(kind, url)
            await self.answering(kind, url)
            task_id = None
            if choice is not None and not isinstance(failure, CallError):
                task_id = f"{self.run}-task-{self.tasks}"
                self.tasks += 1
                await self.note_executed(url, task_id, choice)
            if isinstance(reply, Lost):
                raise InDoubt("the answer never came", code=reply.code)
            if isinstance(reply, CallError | GivenUp):
                raise reply
        except (Stopping, CallError, GivenUp) as raised:
            error = raised.error if isinstance(raised, GivenUp) else raised
            if not isinstance(error, InDoubt):
                meter.not_executed(kind)
            raise
        return reply if isinstance(reply, Hits) else task_id


@dataclass
class FakeVendor(PlainVendor):
    """Answers well unless `scripts[kind, url]` says otherwise, one entry a call. `executed` is the truth of creates."""

    scripts: Mapping[tuple[Kind, str], Iterable[Reply]] = field(default_factory=dict)
    pause: Callable[[Kind, str], Awaitable[None]] | None = None  # between a call and its answer
    run: str = "run"
    now: float = NOW
    retries_left: bool = True
    executed: list[tuple[str, str]] = field(default_factory=list)  # picture URL, task id
    sent: list[tuple[Kind, str]] = field(default_factory=list)
    chosen: dict[str, Choice] = field(default_factory=dict)
    under_way: int = 0
    most_under_way: int = 0
    stats: Stats = field(default_factory=Stats)

    def __post_init__(self) -> None:
        super().__init__()
        self._replies = defaultdict(deque, {key: deque(replies) for key, replies in self.scripts.items()})

    async def call(self, endpoint: Endpoint[Any, Any], asked: Any, meter: Meter) -> Any:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if endpoint.kind is Kind.CREATE:
            self.chosen[asked.url] = asked.choice
        try:
            return await super().call(endpoint, asked, meter)
        finally:
            self.under_way -= 1

    def reply(self, kind: Kind, url: str) -> Reply:
        return self._replies[kind, url].popleft() if self._replies[kind, url] else None

    async def answering(self, kind: Kind, url: str) -> None:
        if self.pause is not None:
            await self.pause(kind, url)

    def note_sent(self, kind: Kind, url: str) -> None:
        self.sent.append((kind, url))
        self.stats.sent[kind] += 1

    async def note_executed(self, url: str, task_id: str, choice: Choice) -> None:
        self.executed.append((url, task_id))


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
    folder: Path,
    *,
    budgets: Mapping[Kind, int] | None = None,
    beside: Mapping[Kind, int] | None = None,
    duplicates: int = 0,
    tariff: Tariff | None = None,
    connect: Connect = connect,
    linger_s: float = 0.0,
    shared: SharedCaps | None = None,
) -> AsyncIterator[Journal]:
    """Open a journal on a real disk; it is closed in the end."""
    folder.mkdir(exist_ok=True)
    writer = AwaitedWriter(functools.partial(open_disk, folder, now=NOW, connect=connect), linger_s=linger_s)
    await writer.start()
    caps = budgets or {}
    journal = Journal(writer, budgets=caps, beside=beside, duplicates=duplicates, tariff=tariff, shared=shared)
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
    most: int = 10_000,
) -> Engine:
    """An engine over these items, none of them in yet; `most` is what the system allows at once."""
    intake = Intake(items, journal, generation=generation, fingerprint=f"print-{generation}")
    known = pictures or {}
    read = known.__getitem__

    def digest(source: str) -> str | None:
        views = [known[view].sha256 if view in known else view for view in views_of(source)]
        return joined_views(views) if all(is_url(view) or view in known for view in views_of(source)) else None

    ports = Ports(spec, endpoints_of(spec), vendor, journal, read, digest, now=lambda: vendor.now, most=most)
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

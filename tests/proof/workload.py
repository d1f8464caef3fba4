"""A run of the real engine, journal, writer and files over a vendor in the same process, composed as a run is.

The vendor misbehaves by the picture and the seed. What it executed, what was sent and what the engine was told is done
goes to a `Diary`, in the order in which it happened.
"""

import functools
import hashlib
import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import anyio
import msgspec
import pytest

from pipeline.engine import report_turns
from pipeline.engine.engine import Engine
from pipeline.engine.intake import Intake
from pipeline.engine.parts import Ports
from pipeline.errors import InDoubt, ItemRefused, JournalError, TryAgain
from pipeline.job.schema import JobSpec
from pipeline.journal.journal import Journal
from pipeline.journal.places import OPEN_FILE
from pipeline.journal.sql.database import Connection
from pipeline.journal.storage import connect, open_disk
from pipeline.journal.writer import Writer
from pipeline.models import CONTENT, KINDS, Choice, Hits, Item, Kind, State, Task, Work
from pipeline.results.record import RecordLines
from pipeline.run import directory
from pipeline.run.details import finish, hit_details
from pipeline.run.directory import lock
from pipeline.run.load import SANDBOX_CREDENTIALS, Job
from pipeline.sources.pictures import Picture
from pipeline.system.files import ascii_line, write_whole
from pipeline.views import has_views, joined_views, views_of
from tests.proof.history import Created
from tests.proof.told import Told
from tests.proof.ways import PLAIN, Way
from tests.support.fakes import NOTHING, NOW, Lost, PlainVendor, Reply, endpoints_of

BUDGET = 5000
FILES = 12  # that are views
# On a network file system the journal works without a write-ahead log.
LOCAL, REMOTE = (lambda: "disk / ext4 rw 0 0"), (lambda: "server:/ / nfs4 rw 0 0")
_TROUBLE = ("", "", "", "", "", "", "", "", "nothing", "bad file", "busy", "lost", "maybe", "refused", "not sent")
_REPLIES: dict[tuple[Kind, str], Callable[[], Reply]] = {
    (Kind.SEARCH, "nothing"): lambda: NOTHING,
    (Kind.SEARCH, "bad file"): lambda: ItemRefused("no", code="68300010"),
    (Kind.SEARCH, "busy"): lambda: TryAgain("busy", code="67200100"),
    (Kind.CREATE, "refused"): lambda: ItemRefused("no", code="68300010"),
    (Kind.CREATE, "maybe"): lambda: InDoubt("no answer", code="no_answer"),
    (Kind.CREATE, "lost"): Lost,
    (Kind.CREATE, "not sent"): lambda: TryAgain("not reached", code="not_sent", sent=False),
}


class Diary(Protocol):
    """Who is told what happened."""

    def sent(self, kind: Kind) -> None: ...
    def executed(self, created: Created) -> None: ...
    def acknowledged(self, id_: str, crc: int) -> None: ...
    def failed(self) -> None: ...
    def told(self, told: Told) -> None: ...


class Vendor(PlainVendor):
    """Answers by the picture: the same seed makes the same trouble; `calm` makes none."""

    def __init__(self, diary: Diary, *, seed: int, name: str, calm: bool = False) -> None:
        super().__init__()
        self.run = name
        self._diary = diary
        self._seed = seed
        self._calm = calm

    def reply(self, kind: Kind, url: str) -> Reply:
        if self._calm:
            return None
        trouble = random.Random(f"{self._seed} {url}").choice(_TROUBLE)
        make = _REPLIES.get((kind, trouble))
        return make() if make else None

    def found(self, url: str) -> Hits:
        return hits_of(url)

    async def answering(self, kind: Kind, url: str) -> None:
        for _ in range(random.Random(f"{kind} {url}").randrange(4)):
            await anyio.sleep(0)

    def note_sent(self, kind: Kind, url: str) -> None:
        self._diary.sent(kind)

    async def note_executed(self, url: str, task_id: str, choice: Choice) -> None:
        hits = tuple(hit["patent_id"] for hit in msgspec.json.decode(choice.array))
        self._diary.executed(Created(url, task_id, hits))
        await anyio.sleep(0)


def url_of(number: int) -> str:
    """The picture of an item."""
    return f"https://cdn.example/{number}.jpg"


def hits_of(url: str) -> Hits:
    """The hits of a picture: nobody else's, over more than one sector, and as long as those of many others."""
    number = int(url.rsplit("/", 1)[1].removesuffix(".jpg"))
    count = 1 + number // 10 % 2
    array = [{"patent_id": f"{number:04}-{n}", "title": f"{number:04}" * 150, "score": 0.5} for n in range(count)]
    return Hits(msgspec.json.encode(array), (0.5,) * count, (True,) * count, count, "asked", NOW)


def noting(journal: Journal, diary: Diary) -> Journal:
    """Let the journal tell the diary which items the engine was told are done, and that writing has failed."""
    reserve, intend, settle = journal.budget.reserve, journal.steps.intend, journal.steps.settle

    async def reserving(kind: Kind, count: int = 1) -> None:
        with watched():
            await reserve(kind, count)

    async def intending(work: Work, hits: Hits, **how: Any) -> None:
        with watched():
            await intend(work, hits, **how)

    async def settling(work: Work, state: State, line: Any, task: Task | None) -> None:
        with watched():
            await settle(work, state, line, task)
        diary.acknowledged(work.item.id, zlib.crc32(bytes(line)))

    @contextmanager
    def watched() -> Iterator[None]:
        try:
            yield
        except JournalError:
            diary.failed()
            raise

    journal.budget.reserve = reserving
    journal.steps.intend, journal.steps.settle = intending, settling
    return journal


def job(folder: Path, *, in_flight: int, way: Way = PLAIN) -> JobSpec:
    """The job; its items come from `items`."""
    api = {"max_in_flight": in_flight, "budget": {"search_calls": BUDGET, "create_calls": BUDGET}}
    listed = [{"id": "SKU-0", "url": url_of(0)}]
    spec = JobSpec.model_validate({"version": 1, "name": "job", "images": listed, "api": api} | dict(way.parts))
    return spec.with_folder(folder)


def items(count: int, way: Way = PLAIN) -> list[Item]:
    """So many items; each ninth shows the picture of the one before it. Views are files, many of several items."""
    sources = [_source(n - (n % 9 == 8), way) for n in range(count)]
    return [
        Item(f"SKU-{n}", source, bool(way.views), f"images[{n}]", {}, picture=_identity(source))
        for n, source in enumerate(sources)
    ]


def _source(number: int, way: Way) -> str:
    if not way.views:
        return url_of(number)
    return joined_views(f"view-{(number + view * (1 + number // FILES)) % FILES}.png" for view in range(way.views))


def _identity(source: str) -> str:
    return CONTENT + _digest(source) if has_views(source) else ""


def _picture(source: str) -> Picture:
    data = source.encode() * 50
    return Picture(data, "png", hashlib.sha256(data).hexdigest())


def _digest(source: str) -> str:
    return joined_views(_picture(view).sha256 for view in views_of(source))


async def run(
    folder: Path,
    vendor: Vendor,
    diary: Diary,
    *,
    count: int,
    limit: int | None = None,
    connecting: Callable[[Path], Connection] = connect,
    mounts: Callable[[], str] = LOCAL,
    in_flight: int = 6,
    way: Way = PLAIN,
) -> None:
    """One run, from the lock to open.jsonl. Raises what ends a run early, with the journal closed."""
    spec = job(folder.parent, in_flight=in_flight, way=way)
    with lock(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_turns, "APART_S", 0.0)  # reports are asked for at once: what is proved is their journal
        writer = Writer(functools.partial(open_disk, folder, now=NOW, connect=connecting, mounts=mounts), linger_s=0)
        await writer.start()
        journal = noting(Journal(writer, budgets=dict.fromkeys((*KINDS, Kind.DETAILS), BUDGET)), diary)
        records = RecordLines(spec, "0" * 64)
        try:
            tally = await journal.begin()
            await journal.requeue_failed()
            intake = Intake(items(count, way), journal, generation=1, fingerprint="same")
            keep = functools.partial(directory.keep_drawing, folder)
            job_ = Job(spec, SANDBOX_CREDENTIALS)
            async with hit_details(job_, folder, journal, vendor, lambda _: None, may_add=True) as details:
                ports = Ports(
                    spec,
                    endpoints_of(spec),
                    vendor,
                    journal,
                    _picture,
                    _digest,
                    now=lambda: NOW,
                    details=details,
                    keep_drawing=keep,
                )
                engine = Engine(ports, intake, records, tally=tally)
                await engine.run(limit=limit)
                await finish(details, journal, spec.details if limit is None else None)
            await journal.finish()
            lines = []
            after = 0
            while batch := await journal.open_items(after=after):
                lines += [ascii_line(records.open(work, state, problem)) for work, state, problem in batch]
                after = batch[-1][0].ord
            write_whole(folder / OPEN_FILE, lines)
        finally:
            await journal.close()

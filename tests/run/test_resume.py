"""A run that dies at any moment of any write to its journal, and the run after it: nothing paid is lost or paid twice.

One run is watched: before, within and after every statement, write, sync, cut and deletion of its writing thread, the
run directory is copied as it lies on disk, with nothing closed, together with what was true at the vendor and what was
acknowledged. Each copy is a death. A healthy run then goes on in each of them, and those die while they recover, too.
"""

import os
import shutil
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest

from pipeline.engine.engine import Engine
from pipeline.engine.parts import Ports
from pipeline.errors import InDoubt, ItemRefused, TryAgain
from pipeline.job.schema import JobSpec
from pipeline.journal.journal import Journal
from pipeline.journal.places import OPEN_FILE, RESULTS
from pipeline.journal.storage import connect, open_disk, reading_only
from pipeline.journal.writer import Writer
from pipeline.models import PAID, Kind, State
from pipeline.results.record import RecordLines
from pipeline.results.summary import RunSummary
from pipeline.run.begin import begin
from pipeline.run.end import Ending, end
from pipeline.run.options import RunOptions
from pipeline.run.outputs import write_outputs
from pipeline.sources.pictures import Picture
from pipeline.system.clock import steady
from tests.support.fakes import (
    NOTHING,
    NOW,
    FakeVendor,
    Lost,
    assert_index_matches,
    assert_settled_once,
    endpoints_of,
    records,
    rows,
    states,
    url,
)
from tests.support.lengths import THOROUGH, lengths

pytestmark = pytest.mark.proofs

SEARCH, CREATE = Kind.SEARCH, Kind.CREATE
ITEMS = 13
BUDGET = 400


class Death(NamedTuple):
    """A run directory as a death left it; the creates executed and the calls sent by then, the items acknowledged."""

    folder: Path
    after: str
    executed: list[tuple[str, str]]
    sent: Counter[Kind]
    acknowledged: dict[str, bytes]


@dataclass
class Watch:
    """Copies a run directory whenever its writing thread has changed something on disk, or is about to."""

    folder: Path
    into: Path
    vendor: FakeVendor
    before: Death | None = None
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    deaths: list[Death] = field(default_factory=list)
    watching: bool = False
    _seen: object = None

    def moment(self, what: str) -> None:
        if not self.watching or threading.current_thread().name != "journal":
            return
        self.watching = False  # the copying itself is no moment
        acknowledged = dict(self.acknowledged)
        content = {path.relative_to(self.folder): path.read_bytes() for path in sorted(_files(self.folder))}
        executed, sent = list(self.vendor.executed), Counter(kind for kind, _ in self.vendor.sent)
        seen = ({name: zlib.crc32(data) for name, data in content.items()}, acknowledged, executed)
        if seen != self._seen:
            self._seen = seen
            copy = self.into / f"{len(self.deaths):04d}"
            copy.mkdir(parents=True)  # also when nothing lies in the run directory yet
            for name, data in content.items():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                (copy / name).write_bytes(data)
            if self.before:
                executed, sent = self.before.executed + executed, self.before.sent + sent
                acknowledged = self.before.acknowledged | acknowledged
            self.deaths.append(Death(copy, what, executed, sent, acknowledged))
        self.watching = True

    def connect(self, path: Path) -> Any:
        return _WatchedConnection(connect(path), self.moment)


class _WatchedConnection:
    def __init__(self, inner: Any, moment: Callable[[str], None]) -> None:
        self._inner = inner
        self._moment = moment
        self.close = inner.close

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        self._moment(f"before {sql[:40]}")
        try:
            return self._inner.execute(sql, parameters)
        finally:
            self._moment(f"after {sql[:40]}")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


@contextmanager
def watched(watch: Watch) -> Iterator[Watch]:
    """Tell `watch` of every call that changes a file: before it, after it, and in the middle of a write."""
    real = {
        name: getattr(os, name)
        for name in ("write", "writev", "pwrite", "fdatasync", "fsync", "ftruncate", "unlink", "open")
    }

    def told(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            watch.moment(f"before {name}")
            result = real[name](*arguments, **options)
            watch.moment(f"after {name}")
            return result

        return call

    def write(fd: int, data: Any) -> int:
        watch.moment("before write")
        half = real["write"](fd, bytes(data)[: len(data) // 2])
        watch.moment("within write")
        rest = real["write"](fd, bytes(data)[half:])
        watch.moment("after write")
        return half + rest

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        watch.moment("before pwrite")
        half = real["pwrite"](fd, data[: len(data) // 2], offset)
        watch.moment("within pwrite")
        rest = real["pwrite"](fd, data[half:], offset + half)
        watch.moment("after pwrite")
        return half + rest

    with pytest.MonkeyPatch.context() as patch:
        for name in real:
            patch.setattr(os, name, told(name))
        patch.setattr(os, "write", write)
        patch.setattr(os, "pwrite", pwrite)
        patch.setattr(os, "writev", lambda fd, parts: write(fd, b"".join(parts)))
        watch.watching = True
        yield watch
        watch.watching = False


def noting(journal: Journal, noted: dict[str, bytes]) -> Journal:
    """Let the journal note which items the engine was told are done, with their lines."""
    settle = journal.steps.settle

    async def settling(work: Any, state: State, line: Any, task: Any) -> None:
        await settle(work, state, line, task)
        noted[work.item.id] = bytes(line)

    journal.steps.settle = settling
    return journal


def job(folder: Path, *, in_flight: int = 4) -> JobSpec:
    """Make a job of thirteen pictures; SKU-9 shows the same as SKU-1, two are local."""
    images: list[dict[str, str]] = [{"id": f"SKU-{n}", "url": url(n)} for n in range(1, ITEMS + 1)]
    images[8]["url"] = url(1)
    images[9] = {"id": "SKU-10", "path": "a.jpg"}
    images[10] = {"id": "SKU-11", "path": "b.jpg"}
    spec = JobSpec.model_validate(
        {
            "version": 1,
            "name": "job",
            "images": images,
            "upload": {"public": True},
            "api": {"max_in_flight": in_flight, "budget": {"search_calls": BUDGET, "create_calls": BUDGET}},
        }
    )
    return spec.with_folder(folder)


def picture(source: str) -> Picture:
    return Picture(source.encode(), "jpeg", source * 8)


def troubled() -> FakeVendor:
    """Make a vendor with every kind of trouble."""
    return FakeVendor(
        {
            (SEARCH, url(2)): [NOTHING],
            (CREATE, url(3)): [Lost()],
            (CREATE, url(4)): [InDoubt("lost", code="no_answer")],
            (SEARCH, url(5)): [ItemRefused("no", code="68300010")],
            (SEARCH, url(6)): [TryAgain("busy", code="67200100")],
            (CREATE, url(7)): [TryAgain("not reached", code="not_sent", sent=False)],
        },
        run="first",
    )


async def one_run(
    folder: Path,
    vendor: FakeVendor,
    *,
    in_flight: int = 4,
    connecting: Callable[[Path], Any] = connect,
    acknowledged: dict[str, bytes] | None = None,
    opened: Callable[[], None] = lambda: None,
) -> RunSummary:
    """Run as the application does, with a vendor of ours in the place of the client."""
    spec = job(folder.parent, in_flight=in_flight)
    writer = Writer(partial(open_disk, folder, now=NOW, connect=connecting), linger_s=0)
    await writer.start()
    opened()
    journal = Journal(writer, budgets={kind: spec.api.budget_of(kind) for kind in PAID})
    journal = noting(journal, {} if acknowledged is None else acknowledged)
    written = RecordLines(spec, "0" * 64)
    intake = await begin(spec, journal, RunOptions())
    ports = Ports(spec, endpoints_of(spec), vendor, journal, picture, now=lambda: NOW)
    engine = Engine(ports, intake, written, tally=await journal.begin())
    await engine.run()
    ending = Ending(folder, written, engine, journal, vendor.stats, NOW, steady())
    summary = await end(ending, limited=False)
    await journal.close()
    with reading_only(folder, own=True) as db:
        return write_outputs(folder, db, written, summary)


def assert_nothing_lost_or_paid_twice(death: Death, healthy: FakeVendor, summary: RunSummary) -> None:
    folder, executed = death.folder, death.executed + healthy.executed
    after = states(folder)
    # Every executed create is tracked, and none was made twice.
    assert max(Counter(picture for picture, _ in executed).values()) == 1
    task_of = dict(executed)
    shown = {id_: link or source for id_, source, link in rows(folder, "id, source, url")}
    tracked = {shown[id_]: state for id_, state in after.items() if state in (State.TASKED, State.IN_DOUBT)}
    assert set(task_of) <= set(tracked)
    # What was acknowledged is there, byte for byte; a task is one that the vendor made for this picture.
    data = (folder / RESULTS).read_bytes()
    for line in death.acknowledged.values():
        assert data.count(line) == 1
    for record in records(folder):
        if record["status"] == "tasked":
            assert record["task"]["task_id"] == task_of[record["image"]["url"]]
    assert_settled_once(folder)
    assert_index_matches(folder)
    # Everything ended, and adds up.
    counts = summary.items
    assert counts["all"] == counts["settled"] + counts["open"] + counts["not_started"] == ITEMS
    assert (counts["not_started"], counts["removed"]) == (0, 0)
    assert counts["open"] == len((folder / OPEN_FILE).read_bytes().splitlines())
    assert (
        Counter(state.word for state in after.values())
        == Counter({word: counts[word] for word in ("tasked", "no_hits", "searched", "failed", "in_doubt", "expired")})
        - Counter()
    )
    assert summary.exit_code == (1 if counts["open"] else 0)
    # No call went unnoticed by its budget.
    sent = death.sent + Counter(kind for kind, _ in healthy.sent)
    for kind in (SEARCH, CREATE):
        spent = summary.calls[kind.value]
        assert sent[kind] <= spent.sent + spent.unknown <= BUDGET


def go_on(death: Death, into: Path | None = None) -> tuple[FakeVendor, RunSummary, list[Death]]:
    """Run in a dead directory until done; with `into`, also collect the deaths while it recovers."""
    healthy = FakeVendor(run="second")
    results = death.folder / RESULTS
    whole = results.read_bytes() if results.exists() else b""
    whole = whole[: whole.rfind(b"\n") + 1]
    if into is None:
        summary = anyio.run(one_run, death.folder, healthy)
        assert results.read_bytes().startswith(whole), "a whole line that was on disk is gone"
        return healthy, summary, []
    watch = Watch(death.folder, into, healthy, before=death)

    def opened() -> None:
        watch.watching = False

    with watched(watch):
        summary = anyio.run(partial(one_run, death.folder, healthy, connecting=watch.connect, opened=opened))
    return healthy, summary, watch.deaths


@pytest.fixture(scope="module", params=[1, 4, ITEMS] if THOROUGH else [4], ids="{}-in-flight".format)
def deaths(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> list[Death]:
    """Every way the troubled run can die; with many items in flight, many share a group."""
    base = tmp_path_factory.mktemp("deaths")
    (base / "run").mkdir()
    vendor = troubled()
    watch = Watch(base / "run", base, vendor)
    with watched(watch):
        run = partial(one_run, base / "run", vendor, connecting=watch.connect, acknowledged=watch.acknowledged)
        summary = anyio.run(partial(run, in_flight=request.param))
    assert summary.items["all"] == ITEMS
    return watch.deaths


def test_run_that_does_not_die_comes_to_this(deaths: list[Death]) -> None:
    """The run that dies in the tests below has every outcome."""
    after = states(deaths[-1].folder)
    word = {id_.removeprefix("SKU-"): state.word for id_, state in after.items()}
    assert word == {
        **dict.fromkeys(("1", "8", "9", "10", "11", "12", "13"), "tasked"),
        "2": "no_hits",
        **dict.fromkeys(("3", "4"), "in_doubt"),
        **dict.fromkeys(("5", "6", "7"), "failed"),
    }
    assert len(deaths[-1].acknowledged) == 8
    kinds = {death.after.split(" ", 2)[1] for death in deaths}
    assert {"write", "COMMIT"} <= kinds
    assert len(deaths) > 40


@pytest.mark.parametrize("every", lengths(long=6, thorough=1))
def test_after_a_death_at_any_write_the_next_run_loses_nothing_and_pays_nothing_twice(
    deaths: list[Death], every: int
) -> None:
    for death in deaths[::every]:
        copy = death._replace(folder=Path(shutil.copytree(death.folder, death.folder.with_suffix(f".on-{every}"))))
        try:
            healthy, summary, _ = go_on(copy)
            assert_nothing_lost_or_paid_twice(copy, healthy, summary)
        except BaseException as error:
            error.add_note(f"death {death.folder.name} of {len(deaths)}, {death.after}")
            raise


@pytest.mark.parametrize("every", lengths(long=30, thorough=3))
def test_death_while_recovering_from_a_death_changes_nothing_either(deaths: list[Death], every: int) -> None:
    died_twice = 0
    for death in deaths[::every]:
        copy = death._replace(folder=Path(shutil.copytree(death.folder, death.folder.with_suffix(f".again-{every}"))))
        _, _, second_deaths = go_on(copy, into=death.folder.with_suffix(f".deaths-{every}"))
        for second in second_deaths[1:]:  # the first of them is the death itself
            died_twice += 1
            try:
                healthy, summary, _ = go_on(second)
                assert_nothing_lost_or_paid_twice(second, healthy, summary)
            except BaseException as error:
                error.add_note(f"death {death.folder.name}, {death.after}, then {second.after}")
                raise
    assert died_twice > len(deaths) // every

"""The power fails: what was synced is on the disk, and of the rest any part, down to single sectors of 512 bytes.

A run is recorded (`tape`), each time of another way of use (`recorded`), and at any of its events the power fails: each
file keeps what was synced and loses, keeps or tears what was not; names of files are lost as well unless their folder
was synced. The cache of patents in the user's state folder is part of it. The directory that is left is opened by the
real `open_disk` and looked at by the independent checker; some then go on to the end, are recorded in turn, and lose
power again while they recover.

`make power-loss STATES=50000`.
"""

# ruff: noqa: T201 - a command prints its figures

import argparse
import logging
import random
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from pipeline.errors import JournalError
from pipeline.journal.spool import mark_of
from pipeline.journal.sql.rows import SearchNote, SpoolRef
from pipeline.journal.storage import Disk, open_disk
from pipeline.paging import PAGE
from tests.proof.contents import records_hold_what_was_paid
from tests.proof.history import MEMORY, REPORT_PENDING, Created, read_history, violations
from tests.proof.mutants import MUTANTS
from tests.proof.recorded import RECORDED, STATE, WayVendor, hits_in, used
from tests.proof.recorder import recording
from tests.proof.steps import read_held, what_was_told_is_so
from tests.proof.tape import Acknowledged, Event, Executed, Names, Sent, Sync, Tape, Truncate, Write
from tests.proof.told import Told
from tests.proof.ways import PLAIN, Way
from tests.proof.workload import LOCAL, REMOTE, hits_of, run
from tests.support.fakes import NOW

SECTOR = 512
COUNT = 40
RUN = Path("runs") / "job"


@dataclass
class World:
    """What is on the disk and what is not, and what the world knows, at one moment of a tape."""

    tape: Tape
    durable: dict[int, bytes]
    folders: dict[int, dict[str, int]]
    pending: dict[int, list[Write | Truncate]] = field(default_factory=dict)
    renaming: dict[int, list[Names]] = field(default_factory=dict)
    executed: list[Created] = field(default_factory=list)
    acknowledged: dict[str, int] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    told: list[Told] = field(default_factory=list)

    def happen(self, event: Event) -> None:
        """Take in the next event."""
        match event:
            case Write(node) | Truncate(node):
                self.pending.setdefault(node, []).append(event)
            case Sync(node):
                self.durable[node] = _apply(self.durable.get(node, b""), self.pending.pop(node, []))
                for change in self.renaming.pop(node, []):
                    _rename(self.folders.setdefault(node, {}), change)
            case Names(folder):
                self.renaming.setdefault(folder, []).append(event)
            case Sent(kind):
                self.asked[kind.value] += 1
            case Executed(created):
                self.executed.append(created)
            case Acknowledged(id_, crc):
                self.acknowledged[id_] = crc
            case Told():
                self.told.append(event)

    def fail(self, into: Path, dice: random.Random, *, node: int = 0) -> None:
        """Write to `into` what a power failure at this moment leaves."""
        into.mkdir(parents=True, exist_ok=True)
        names = dict(self.folders.get(node, {}))
        changes = self.renaming.get(node, [])
        for change in _survivors(changes, dice):
            _rename(names, change)
        for name, child in names.items():
            if child in self.tape.folders:
                self.fail(into / name, dice, node=child)
            elif not name.endswith("-shm"):
                content = _apply(self.durable.get(child, b""), _torn(self.pending.get(child, []), dice))
                (into / name).write_bytes(content)


def _rename(names: dict[str, int], change: Names) -> None:
    for name, node in change.names.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _survivors(changes: list[Names], dice: random.Random) -> list[Names]:
    """What of the names reached the disk: nothing, everything, the first few, or any."""
    match dice.randrange(4):
        case 0:
            return []
        case 1:
            return changes
        case 2:
            return changes[: dice.randrange(len(changes) + 1)]
        case _:
            return [change for change in changes if dice.random() < 0.5]


def _torn(changes: list[Write | Truncate], dice: random.Random) -> list[Write | Truncate]:
    """What of the writes reached the disk: nothing, everything, the first few and a torn one, or any sectors."""
    match dice.randrange(4):
        case 0:
            return []
        case 1:
            return changes
        case 2:
            end = dice.randrange(len(changes) + 1)
            return [*changes[:end], *_sectors(changes[end : end + 1], dice, keep=0.5)]
        case _:
            return list(_sectors(changes, dice, keep=dice.choice((0.1, 0.5, 0.9))))


def _sectors(changes: list[Write | Truncate], dice: random.Random, *, keep: float) -> Iterator[Write | Truncate]:
    for change in changes:
        if isinstance(change, Truncate):
            if dice.random() < keep:
                yield change
            continue
        at, end = change.offset, change.offset + len(change.data)
        while at < end:
            after = min(end, (at // SECTOR + 1) * SECTOR)
            if dice.random() < keep:
                yield Write(change.node, at, change.data[at - change.offset : after - change.offset])
            at = after


def _apply(content: bytes, changes: list[Write | Truncate]) -> bytes:
    if not changes:
        return content
    data = bytearray(content)
    for change in changes:
        if isinstance(change, Truncate):
            del data[change.size :]
            data.extend(bytes(change.size - len(data)))
        else:
            data.extend(bytes(max(0, change.offset - len(data))))
            data[change.offset : change.offset + len(change.data)] = change.data
    return bytes(data)


@dataclass
class Score:
    """What a campaign came to; `needed` counts the states until the first violation."""

    states: int = 0
    again: int = 0
    acknowledged: int = 0
    adopted: int = 0
    cut: int = 0
    in_doubt: int = 0
    empty: int = 0
    told: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    bad_states: int = 0
    needed: int = 0

    def __str__(self) -> str:
        return (
            f"{self.states} power failures, {self.again} of them while recovering from one: {self.acknowledged} "
            f"acknowledged items looked for, {self.adopted} lines adopted, {self.cut} tails cut, {self.in_doubt} "
            f"creates put in doubt, {self.empty} states before the first paid call; states with violations: "
            f"{self.bad_states}\nsteps looked for {dict(self.told)}"
        )


class Campaign:
    """So many power failures from one seed. Stops at the first violation if told to.

    ways  the names of the ways of use that are recorded, in turn; all where none is named
    """

    PER_TAPE = 250
    AGAIN = 10

    def __init__(
        self, base: Path, *, states: int, seed: int, stop_at_first: bool = False, ways: Sequence[str] = ()
    ) -> None:
        self.score = Score()
        self._base = base
        self._states = states
        self._dice = random.Random(seed)
        self._seed = seed
        self._stop = stop_at_first
        self._ways = [way for way in RECORDED if not ways or way.name in ways]
        self._per_tape = min(self.PER_TAPE, max(25, states // (2 * len(self._ways))))
        self._number = 0
        self._tasks: dict[str, str] = {}  # of the tape at hand: the picture of each task

    def run(self) -> Score:
        """Record runs and let the power fail in them until the states are spent."""
        while self.score.states < self._states and not self._done:
            self._number += 1
            base = self._base / f"tape-{self._number}"
            base.mkdir()
            seed = self._seed * 10_000 + self._number
            self._tasks.clear()
            tape = self._first_run(base, seed)
            self._fail_in(World(tape, {}, {0: {}}), base, again=True)
            shutil.rmtree(base)
        return self.score

    @property
    def _done(self) -> bool:
        return self._stop and bool(self.score.wrong)

    def _fail_in(self, world: World, base: Path, *, again: bool) -> None:
        """Let the power fail at events of a tape; with `again`, go on in some of what is left, and fail again."""
        share = self._per_tape if again else self.AGAIN
        number = min(share, self._states - self.score.states)
        tape = world.tape
        moments = sorted(self._dice.randrange(len(tape.events) + 1) for _ in range(number))
        chosen = set(self._dice.sample(range(number), max(1, number // 25))) if again else set()
        seen = 0
        for index, moment in enumerate(moments):
            for event in tape.events[seen:moment]:
                world.happen(event)
            seen = moment
            self.score.states += 1
            self.score.again += not again
            left = base / f"{'state' if again else 'again'}-{index}"
            world.fail(left, self._dice)
            if index in chosen:
                self._go_on(left, world, base / f"on-{index}")
            self._look(left / RUN, world, f"tape {self._number}, event {moment} of {len(tape.events)}, {left.name}")
            shutil.rmtree(left)
            if self._done or self.score.states >= self._states:
                return

    def _first_run(self, base: Path, seed: int) -> Tape:
        """Two runs of a job, one that stops in the middle and one that ends it; every third goes without trouble."""
        tape = Tape(base)
        with recording(tape) as connecting:
            for name, limit in (("a", COUNT // 2), ("b", None)):
                calm = self._number % 3 == 0
                self._record(base, tape, connecting, limit=limit, seed=seed, name=f"{seed}{name}", calm=calm)
        shutil.rmtree(base / STATE, ignore_errors=True)
        shutil.rmtree(base / RUN.parts[0])
        return tape

    def _record(
        self, base: Path, tape: Tape, connecting: Callable[[Path], Any], *, limit: int | None = None, **vendor: Any
    ) -> None:
        """Run the job once, on the recorded disk."""
        speaker = WayVendor(tape, way=self._way, tasks=self._tasks, **vendor)
        how = {"count": COUNT, "limit": limit, "connecting": connecting, "mounts": self._mounts, "way": self._way}
        with used(base, tape, connecting):
            anyio.run(partial(run, base / RUN, speaker, tape, **how))

    @property
    def _way(self) -> Way:
        return self._ways[(self._number - 1) % len(self._ways)]

    @property
    def _mounts(self) -> Callable[[], str]:
        """Every fourth run is on a network file system."""
        return REMOTE if self._number % 4 == 0 else LOCAL

    def _look(self, folder: Path, world: World, where: str) -> None:
        """Open what is left as the next run would, and compare it with what the world knows."""
        found: list[str] = []
        try:
            if folder.is_dir():
                disk = open_disk(folder, now=NOW, mounts=self._mounts)
                found += _inside(disk, self._way)
                self.score.adopted += disk.recovered.adopted
                self.score.cut += disk.recovered.cut_bytes > 0
                self.score.in_doubt += disk.recovered.in_doubt
                disk.close()
                known = {"acknowledged": world.acknowledged, "asked": world.asked}
                found += violations(read_history(folder, executed=world.executed, **known))
                told = _promised(world.told)
                found += what_was_told_is_so(told, read_held(folder, _caches(folder)), dead=False)
                self.score.told.update(one.step for one in told)
            elif world.executed or world.acknowledged or world.asked:
                found.append(f"the run directory is gone, with {len(world.executed)} tasks")
        except (JournalError, sqlite3.Error) as error:
            found.append(f"refused: {error}")
        self.score.acknowledged += len(world.acknowledged)
        self.score.empty += not world.asked
        self._note(found, where)

    def _note(self, found: list[str], where: str) -> None:
        self.score.bad_states += bool(found)
        if found and not self.score.wrong:
            self.score.needed = self.score.states
        self.score.wrong += [f"{where}: {text}" for text in found]

    def _go_on(self, left: Path, world: World, base: Path) -> None:
        """Recover and finish a copy of what is left, look at the end, and let the power fail on the way there."""
        shutil.copytree(left, base)
        tape = Tape(base)
        start = World(tape, dict(tape.content), {node: dict(names) for node, names in tape.folders.items()})
        start.executed, start.acknowledged = list(world.executed), dict(world.acknowledged)
        start.asked, start.told = Counter(world.asked), list(world.told)
        where = f"tape {self._number}, on from {left.name}"
        try:
            with recording(tape) as connecting:
                self._record(base, tape, connecting, seed=0, name=f"on-{self.score.states}", calm=True)
            made = [*world.executed, *(event.created for event in tape.events if isinstance(event, Executed))]
            noted = {event.id: event.crc for event in tape.events if isinstance(event, Acknowledged)}
            history = read_history(base / RUN, executed=made, acknowledged=world.acknowledged | noted, ended=True)
            told = _promised([*world.told, *(event for event in tape.events if isinstance(event, Told))])
            found = violations(history) + records_hold_what_was_paid(base / RUN, self._way)
            found += what_was_told_is_so(told, read_held(base / RUN, _caches(base / RUN)), dead=False)
            self._note(found, where)
        except (JournalError, sqlite3.Error) as error:
            self._note([f"refused: {error}"], where)
        else:
            self._fail_in(start, base, again=False)
        shutil.rmtree(base)


def _inside(disk: Disk, way: Way) -> list[str]:
    """What only SQLite and the spool can say: the database is whole, and hits that can be read are the item's own."""
    wrong = [] if (said := disk.db.do("PRAGMA quick_check").fetchone()[0]) == "ok" else [f"quick_check: {said}"]
    columns = "ord, id, state, coalesce(url, source), search, segment, spooled_at, spooled"
    rows = disk.db.do(f"SELECT {columns} FROM items WHERE segment > 0 AND search IS NOT NULL")
    for ord_, id_, state, url, search, *ref in rows.fetchall():
        note = msgspec.json.decode(search, type=SearchNote)
        array = disk.spool.read(SpoolRef(*ref), mark=mark_of(ord_, note))
        pages = None if note.paging is None else len(note.paging.pages)
        if array not in (None, b"[]", _own_hits(way, url, pages)):
            wrong.append(f"the spool has other hits for {id_}")
        if array is None and state == REPORT_PENDING:
            wrong.append(f"the hits of {id_} are lost, its report is awaited")
    return wrong


def _own_hits(way: Way, url: str, pages: int | None) -> bytes:
    """Return the hits of a picture, those of its first pages where its search has several."""
    if way is PLAIN:
        return hits_of(url).array
    whole = msgspec.json.decode(hits_in(way, url).array)
    return msgspec.json.encode(whole if pages is None else whole[: pages * PAGE])


def _promised(told: Iterable[Told]) -> list[Told]:
    """Leave out the steps that need not survive a power loss: a search, or a page of one, may be asked for again."""
    return [one for one in told if one.step not in ("hits", "page")]


def _caches(folder: Path) -> Path:
    return folder.parents[1] / STATE / "infringement-pipeline" / "patents"


def fast_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory where there is one: the failures are simulated, so nothing is gained from a real disk."""
    return tempfile.TemporaryDirectory(prefix="power-", dir=MEMORY)


def main() -> int:
    """Run one campaign from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--states", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    parser.add_argument("--way", action="append", default=[], choices=[way.name for way in RECORDED])
    told = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(f"seed {told.seed}", flush=True)
    began = time.monotonic()
    with fast_folder() as base, pytest.MonkeyPatch.context() as patch:
        if told.mutant:
            MUTANTS[told.mutant].apply(patch)
        score = Campaign(Path(base), states=told.states, seed=told.seed, ways=told.way).run()
    print(f"{score}\n{time.monotonic() - began:.0f} s")
    print(*score.wrong[:20], sep="\n")
    return 1 if score.wrong else 0

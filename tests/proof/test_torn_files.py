"""results.jsonl after a death in the middle of a write, byte by byte: its tail is cut or taken over, never misread."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio
import msgspec
import pytest

from pipeline.errors import JournalError
from pipeline.journal.recovery import Recovered
from pipeline.journal.storage import RESULTS, open_disk
from tests.proof.history import History, read_history, violations
from tests.proof.power_loss import RUN, World, fast_folder
from tests.proof.recorder import recording
from tests.proof.tape import Tape, Write
from tests.proof.workload import LOCAL, NOW, Vendor, run

TAIL = 4096
FLIPS = 500


class _KeepAll(random.Random):
    """No power failure, a kill: everything that was written is there."""

    def randrange(self, *_: int) -> int:  # type: ignore[override]
        return 1


class Dead(NamedTuple):
    """A run directory whose run died between writing a group of lines and committing them."""

    files: dict[str, bytes]
    known: World
    committed: int

    @property
    def results(self) -> bytes:
        return self.files[RESULTS]

    def opened(self, folder: Path, results: bytes) -> tuple[Recovered, History]:
        """Open a copy in which results.jsonl is something else."""
        folder.mkdir()
        for name, content in (self.files | {RESULTS: results}).items():
            (folder / name).write_bytes(content)
        disk = open_disk(folder, now=NOW, mounts=LOCAL)
        disk.close()
        known = {"acknowledged": self.known.acknowledged, "asked": self.known.asked}
        return disk.recovered, read_history(folder, executed=self.known.executed, **known)


@pytest.fixture(scope="module")
def dead() -> Dead:
    """The death with the longest tail."""
    with fast_folder() as name:
        base = Path(name)
        tape = Tape(base)
        with recording(tape) as connecting:
            vendor = Vendor(tape, seed=2, name="first")
            how = {"count": 60, "in_flight": 16, "connecting": connecting}
            anyio.run(partial(run, base / RUN, vendor, tape, **how))
        results = tape.node(base / RUN / RESULTS)
        writes = [i for i, event in enumerate(tape.events) if isinstance(event, Write) and event.node == results]
        moment = max(writes[3:], key=lambda i: len(tape.events[i].data))  # type: ignore[union-attr]
        world = World(tape, {}, {0: {}})
        for event in tape.events[: moment + 1]:
            world.happen(event)
        world.fail(base / "left", _KeepAll())
        left = base / "left" / RUN
        files = {path.name: path.read_bytes() for path in left.iterdir() if path.is_file() and path.name != "lock"}
        tail = len(tape.events[moment].data)  # type: ignore[union-attr]
    assert tail > TAIL
    return Dead(files, world, len(files[RESULTS]) - tail)


@pytest.fixture
def folders() -> Iterator[Iterator[Path]]:
    """New folders, as many as wanted."""
    with fast_folder() as base:
        yield (Path(base) / str(n) for n in range(10**6))


def test_tail_cut_at_any_byte_keeps_every_whole_line(dead: Dead, folders: Iterator[Path]) -> None:
    for end in range(len(dead.results) - TAIL, len(dead.results) + 1):
        recovered, history = dead.opened(next(folders), dead.results[:end])
        assert violations(history) == [], end
        assert recovered.adopted == dead.results[dead.committed : end].count(b"\n"), end
        assert history.results == dead.results[: dead.results.rindex(b"\n", 0, end) + 1], end


def test_tail_that_ends_in_zeros_is_cut_before_them(dead: Dead, folders: Iterator[Path]) -> None:
    """A file can have its new size before it has its new bytes."""
    size = len(dead.results)
    for zeros in range(1, size - dead.committed, 7):
        kept = dead.results[: size - zeros]
        _, history = dead.opened(next(folders), kept + bytes(zeros))
        assert violations(history) == [], zeros
        assert history.results == kept[: kept.rindex(b"\n") + 1], zeros


def test_zeros_beyond_the_last_line_are_cut(dead: Dead, folders: Iterator[Path]) -> None:
    for zeros in (1, 2, 511, 512, 513, 4096, 1 << 20, (1 << 20) + 1):
        recovered, history = dead.opened(next(folders), dead.results + bytes(zeros))
        assert violations(history) == []
        assert (history.results, recovered.cut_bytes) == (dead.results, zeros)


def test_file_that_is_shorter_than_what_was_committed_is_refused(dead: Dead, folders: Iterator[Path]) -> None:
    for missing in range(1, 600, 7):
        with pytest.raises(JournalError, match="was shortened"):
            dead.opened(next(folders), dead.results[: dead.committed - missing])


def test_flipped_bit_in_the_last_committed_line_is_refused(dead: Dead, folders: Iterator[Path]) -> None:
    start = dead.results.rindex(b"\n", 0, dead.committed - 1) + 1
    dice = random.Random(1)
    for _ in range(FLIPS):
        with pytest.raises(JournalError, match="was changed"):
            dead.opened(next(folders), _flipped(dead.results, dice.randrange(start, dead.committed), dice))


def test_flipped_bit_in_the_tail_never_harms_what_was_committed(dead: Dead, folders: Iterator[Path]) -> None:
    """A line without a commit has no CRC yet: what still reads as this item's record is taken as it stands.

    No crash flips bits, so this is no promise; but nothing else than that one line may be wrong.
    """
    dice = random.Random(2)
    cut = unnoticed = 0
    for _ in range(FLIPS):
        at = dice.randrange(dead.committed, len(dead.results))
        changed = _flipped(dead.results, at, dice)
        recovered, history = dead.opened(next(folders), changed)
        cut += recovered.cut_bytes > 0
        assert history.results == changed[: len(history.results)]
        assert history.results[: dead.committed] == dead.results[: dead.committed]
        wrong = violations(history)
        unnoticed += bool(wrong)
        start, end = dead.results.rindex(b"\n", 0, at) + 1, dead.results.index(b"\n", at) + 1
        said = msgspec.json.decode(dead.results[start:end])
        names = (said["item"], said["task"]["task_id"] if said["task"] else said["item"])
        assert all(any(name in text for name in names) for text in wrong), (at, wrong)
    assert cut > FLIPS // 10
    assert unnoticed < FLIPS // 4


def _flipped(data: bytes, at: int, dice: random.Random) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1 << dice.randrange(8)
    return bytes(changed)

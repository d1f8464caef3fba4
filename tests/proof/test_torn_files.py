"""results.jsonl after a death in the middle of a write, byte by byte: its tail is cut or taken over, never misread."""

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from pipeline.errors import JournalError
from pipeline.journal.places import RESULTS
from pipeline.journal.recovery import Recovered
from pipeline.journal.sql import calls
from pipeline.journal.sql.admission import admit
from pipeline.journal.sql.rows import Line, note_of
from pipeline.journal.steps import Intent, Settlement, advance
from pipeline.journal.storage import Disk, open_disk
from pipeline.journal.tail_check import CHECK, TailCheck
from pipeline.models import PAID, Calls, Choice, Kind, Task, Work
from pipeline.outcomes import NoHits, Tasked
from pipeline.results.record import RecordLines
from pipeline.system.checksum import crc32
from tests.proof.history import Created, History, read_history, violations
from tests.proof.power_loss import fast_folder
from tests.proof.workload import LOCAL, hits_of, items, job
from tests.support.fakes import NOW
from tests.support.lengths import lengths

TAIL = 4096
FLIPS = lengths(long=60, thorough=500)
BUDGET = 5000
# Numbers of items: settled and committed, written and not committed, created without an outcome, not begun.
COMMITTED, WRITTEN, CREATING, WAITING = range(20), range(20, 35), range(35, 40), range(40, 60)


class Dead(NamedTuple):
    """A run directory whose run died between writing a group of lines and committing them."""

    files: dict[str, bytes]
    executed: list[Created]
    acknowledged: dict[str, int]
    asked: Counter[str]
    committed: int

    @property
    def results(self) -> bytes:
        return self.files[RESULTS]

    def opened(self, folder: Path, results: bytes, *, check: bytes | None) -> tuple[Recovered, History]:
        """Open a copy in which results.jsonl, and the check of its tail, are something else."""
        folder.mkdir()
        for name, content in (self.files | {RESULTS: results, CHECK: check}).items():
            if content is not None:
                (folder / name).write_bytes(content)
        disk = open_disk(folder, now=NOW, mounts=LOCAL)
        disk.close()
        known = {"acknowledged": self.acknowledged, "asked": self.asked}
        return disk.recovered, read_history(folder, executed=self.executed, **known)


class Story:
    """The steps of a run, made one after the other in this thread, so that every byte of them is the same each time."""

    def __init__(self, folder: Path) -> None:
        self.disk: Disk = open_disk(folder, now=NOW, mounts=LOCAL)
        self.executed: list[Created] = []
        self.acknowledged: dict[str, int] = {}
        self.asked: Counter[str] = Counter()
        self._items = items(len(COMMITTED) + len(WRITTEN) + len(CREATING) + len(WAITING))
        self._records = RecordLines(job(folder.parent, in_flight=16), "0" * 64)
        admit(self.disk.db, self._items, generation=1, accept_changes=False)
        for kind in PAID:
            calls.note(self.disk.db, kind, reserved=BUDGET, sent=0)

    def create(self, numbers: range) -> None:
        """Search and create the pictures of these items, in one group; every fifth search finds nothing."""
        intents = []
        for number in self._alone(numbers):
            self.asked[Kind.SEARCH.value] += 1
            if number % 5 == 0:
                continue
            self.asked[Kind.CREATE.value] += 1
            hits = hits_of(self._items[number].source)
            spent = Calls(0, 1, 1)
            intents.append(Intent(number + 1, f"asked {number}", NOW, spent, note_of(hits), hits.array, hits.crc))
            ids = tuple(hit["patent_id"] for hit in msgspec.json.decode(hits.array))
            self.executed.append(Created(self._items[number].source, f"task-{number}", ids))
        advance(self.disk, intents, [None] * len(intents))

    def settle(self, numbers: range, *, commit: bool) -> int:
        """Write the lines of these items, and commit them or die before that; return how many bytes they are."""
        settlements, lines = [], []
        for number in self._alone(numbers):
            item, hits = self._items[number], hits_of(self._items[number].source)
            work = Work(number + 1, item, Calls(0, 1, int(number % 5 != 0)))
            choice = Choice(hits.array, len(hits.scores), 0)
            outcome = NoHits(hits) if number % 5 == 0 else Tasked(hits, choice, Task(f"task-{number}", NOW))
            state, line, task = self._records.settled(work, outcome)
            settlements.append(Settlement(work.ord, state, work.calls, task))
            lines.append(bytes(line))
            if commit:
                self.acknowledged[item.id] = crc32(bytes(line))
        places = self.disk.results.append(lines)
        if commit:
            advance(self.disk, settlements, places)
        return sum(map(len, lines))

    def _alone(self, numbers: range) -> Iterator[int]:
        """Those that are worked on themselves: each ninth shows the picture of the one before it."""
        return (number for number in numbers if number % 9 != 8)


@pytest.fixture(scope="module")
def dead() -> Iterator[Dead]:
    with fast_folder() as name:
        folder, left = Path(name) / "runs" / "job", Path(name) / "left"
        folder.mkdir(parents=True)
        story = Story(folder)
        story.create(COMMITTED)
        story.settle(COMMITTED, commit=True)
        story.create(WRITTEN)
        story.create(CREATING)
        tail = story.settle(WRITTEN, commit=False)
        shutil.copytree(folder, left)  # as a kill leaves it: nothing is closed
        story.disk.close(clean=False)
        files = {path.name: path.read_bytes() for path in left.iterdir() if path.is_file()}
        assert tail > TAIL
        yield Dead(files, story.executed, story.acknowledged, story.asked, len(files[RESULTS]) - tail)


@pytest.fixture
def folders() -> Iterator[Iterator[Path]]:
    """New folders, as many as wanted."""
    with fast_folder() as base:
        yield (Path(base) / str(n) for n in range(10**6))


@pytest.mark.parametrize("every", lengths(long=61, thorough=1))
def test_tail_cut_at_any_byte_keeps_every_whole_line(dead: Dead, folders: Iterator[Path], every: int) -> None:
    for end in _lengths(dead.results, len(dead.results) - TAIL, every=every):
        recovered, history = dead.opened(next(folders), dead.results[:end], check=dead.files[CHECK])
        assert violations(history) == [], end
        assert recovered.adopted == dead.results[dead.committed : end].count(b"\n"), end
        assert history.results == dead.results[: dead.results.rindex(b"\n", 0, end) + 1], end


@pytest.mark.parametrize("every", lengths(long=301, thorough=7))
def test_tail_that_ends_in_zeros_is_cut_before_them(dead: Dead, folders: Iterator[Path], every: int) -> None:
    """A file can have its new size before it has its new bytes."""
    for end in _lengths(dead.results, dead.committed + 1, every=every):
        kept, zeros = dead.results[:end], len(dead.results) - end
        _, history = dead.opened(next(folders), kept + bytes(zeros), check=dead.files[CHECK])
        assert violations(history) == [], zeros
        assert history.results == kept[: kept.rindex(b"\n") + 1], zeros


def _lengths(data: bytes, first: int, *, every: int) -> list[int]:
    """Every so many lengths of `data` from `first` on, and those at and around the end of each line."""
    near = {at + beside for at in range(first, len(data)) if data[at] == ord("\n") for beside in (0, 1, 2)}
    return sorted({*range(first, len(data) + 1, every), *near} - {len(data) + 1})


def test_zeros_beyond_the_last_line_are_cut(dead: Dead, folders: Iterator[Path]) -> None:
    for zeros in (1, 2, 511, 512, 513, 4096, 1 << 20, (1 << 20) + 1):
        recovered, history = dead.opened(next(folders), dead.results + bytes(zeros), check=dead.files[CHECK])
        assert violations(history) == []
        assert (history.results, recovered.cut_bytes) == (dead.results, zeros)


def test_file_that_is_shorter_than_what_was_committed_is_refused(dead: Dead, folders: Iterator[Path]) -> None:
    for missing in range(1, 600, 7):
        with pytest.raises(JournalError, match="was shortened"):
            dead.opened(next(folders), dead.results[: dead.committed - missing], check=None)


@pytest.mark.parametrize("flips", FLIPS)
def test_flipped_bit_in_the_last_committed_line_is_refused(dead: Dead, folders: Iterator[Path], flips: int) -> None:
    start = dead.results.rindex(b"\n", 0, dead.committed - 1) + 1
    dice = random.Random(1)
    for _ in range(flips):
        changed = _flipped(dead.results, dice.randrange(start, dead.committed), dice)
        with pytest.raises(JournalError, match="was changed"):
            dead.opened(next(folders), changed, check=dead.files[CHECK])


@pytest.mark.parametrize("flips", FLIPS)
def test_flipped_bit_in_the_tail_is_never_believed(dead: Dead, folders: Iterator[Path], flips: int) -> None:
    """The line is cut, with all that follows, although most changed lines are still records of a waiting item."""
    dice = random.Random(2)
    for _ in range(flips):
        at = dice.randrange(dead.committed, len(dead.results))
        changed = _flipped(dead.results, at, dice)
        recovered, history = dead.opened(next(folders), changed, check=dead.files[CHECK])
        before = dead.results[: dead.results.rindex(b"\n", 0, at) + 1]
        assert history.results == before, at
        assert recovered.adopted == before[dead.committed :].count(b"\n"), at
        assert violations(history) == [], at


@pytest.mark.parametrize("every", lengths(long=11, thorough=1))
def test_flipped_bit_in_the_check_harms_no_line(dead: Dead, folders: Iterator[Path], every: int) -> None:
    """A check that is not what was written is none."""
    dice = random.Random(3)
    for at in range(0, len(dead.files[CHECK]), every):
        recovered, history = dead.opened(next(folders), dead.results, check=_flipped(dead.files[CHECK], at, dice))
        assert history.results == dead.results, at
        assert recovered.adopted == dead.results[dead.committed :].count(b"\n"), at
        assert violations(history) == [], at


@pytest.mark.parametrize("flips", FLIPS)
@pytest.mark.parametrize("check", ["none", "of another group"])
def test_flipped_bit_in_a_tail_without_a_check_never_harms_another_line(
    dead: Dead, folders: Iterator[Path], check: str, flips: int
) -> None:
    """A power loss can take the check, and earlier versions wrote none: a line is then taken as it stands.

    A record of this very item may be wrong then, but no line is taken for another item's.
    """
    of_another = None if check == "none" else _check_of_another_group(dead, next(folders))
    dice = random.Random(2)
    cut = unnoticed = 0
    for _ in range(flips):
        at = dice.randrange(dead.committed, len(dead.results))
        changed = _flipped(dead.results, at, dice)
        recovered, history = dead.opened(next(folders), changed, check=of_another)
        cut += recovered.cut_bytes > 0
        assert history.results == changed[: len(history.results)]
        assert history.results[: dead.committed] == dead.results[: dead.committed]
        wrong = violations(history)
        unnoticed += bool(wrong)
        start, end = dead.results.rindex(b"\n", 0, at) + 1, dead.results.index(b"\n", at) + 1
        said = msgspec.json.decode(dead.results[start:end])
        names = (said["item"], said["task"]["task_id"] if said["task"] else said["item"], "calls are counted")
        assert all(any(name in text for name in names) for text in wrong), (at, wrong)
    assert cut > flips // 10
    assert 0 < unnoticed < flips // 4


def _check_of_another_group(dead: Dead, folder: Path) -> bytes:
    """The check as it was before the last group was written."""
    folder.mkdir()
    check = TailCheck(folder / CHECK, opened_at=NOW)
    check.write([Line(0, 0, dead.committed, 0)])
    check.close()
    return (folder / CHECK).read_bytes()


def _flipped(data: bytes, at: int, dice: random.Random) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1 << dice.randrange(8)
    return bytes(changed)

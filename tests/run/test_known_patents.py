"""The cache of patents: 30 days, shared by all processes, durable at once, and never a reason to fail."""

import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.run import known_patents
from pipeline.run.known_patents import CLAIM_S, LIFE_S, NOT_FOUND_LIFE_S, KnownPatents
from tests.support.fakes import NOW
from tests.support.processes import completed, python

BODY = b'{"number":"US1S"}'


class Shelf:
    """A cache file, and caches of several runs on it; `said` are their remarks."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "patents" / "account.sqlite"
        self.said: list[str] = []
        self.now = NOW
        self._caches: list[KnownPatents] = []

    def of(self, run: str) -> KnownPatents:
        self._caches.append(KnownPatents(self.path, run=run, say=self.said.append, now=lambda: self.now))
        return self._caches[-1]

    def close(self) -> None:
        """Close the files that are still open, as the end of a process does: claims stay."""
        for cache in self._caches:
            if cache._db is not None:
                cache._db.close()


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.close()


def test_what_was_answered_is_known_to_every_later_run_for_30_days(shelf: Shelf) -> None:
    first = shelf.of("first")
    assert first.take("D301", ["a", "b"]) == ({}, ["a", "b"], [])
    first.keep("D301", {"a": BODY, "b": None})
    first.close()
    shelf.now += NOT_FOUND_LIFE_S - 1
    assert shelf.of("second").take("D301", ["a", "b", "c"]) == ({"a": BODY, "b": None}, ["c"], [])
    shelf.now += LIFE_S - NOT_FOUND_LIFE_S
    shelf.now += 2
    assert shelf.of("third").take("D301", ["a"]) == ({}, ["a"], [])


def test_what_was_not_found_is_asked_for_again_after_a_day(shelf: Shelf) -> None:
    """An hour in which the vendor finds nothing must not stand in records for a month."""
    shelf.of("first").keep("D301", {"a": BODY, "b": None})
    shelf.now += NOT_FOUND_LIFE_S + 1
    cache = shelf.of("second")
    assert cache.take("D301", ["a", "b"]) == ({"a": BODY}, ["b"], [])
    cache.keep("D301", {"b": BODY})
    assert cache.take("D301", ["a", "b"]).known == {"a": BODY, "b": BODY}


def test_a_row_of_another_program_is_no_answer(shelf: Shelf) -> None:
    shelf.of("first").keep("D301", {"a": BODY, "b": BODY})
    with closing(sqlite3.connect(shelf.path, isolation_level=None)) as db:
        db.execute("UPDATE patents SET answer = 7 WHERE patent_id = 'b'")
    assert shelf.of("second").take("D301", ["a", "b"]) == ({"a": BODY}, ["b"], [])


def test_each_endpoint_has_answers_of_its_own(shelf: Shelf) -> None:
    cache = shelf.of("run")
    cache.keep("D301", {"a": BODY})
    assert cache.take("P014", ["a"]).ours == ["a"]


def test_an_answer_is_durable_when_it_is_kept(shelf: Shelf) -> None:
    """A kill comes without a close."""
    cache = shelf.of("run")
    cache.keep("D301", {"a": BODY})
    with closing(sqlite3.connect(f"file:{shelf.path}?mode=ro", uri=True)) as other:
        assert other.execute("SELECT patent_id, answer FROM patents").fetchall() == [("a", BODY)]


def test_a_patent_is_asked_for_by_one_run_at_a_time(shelf: Shelf) -> None:
    first, second = shelf.of("first"), shelf.of("second")
    assert first.take("D301", ["a"]).ours == ["a"]
    assert second.take("D301", ["a", "b"]) == ({}, ["b"], ["a"])
    first.keep("D301", {"a": BODY})
    assert second.take("D301", ["a"]).known == {"a": BODY}


@pytest.mark.parametrize("ended", ["given back", "closed", "too old"])
def test_a_claim_ends_with_its_call_its_run_or_after_a_while(ended: str, shelf: Shelf) -> None:
    first = shelf.of("first")
    first.take("D301", ["a"])
    if ended == "given back":
        first.give_back("D301", ["a"])
    elif ended == "closed":
        first.close()
    else:
        shelf.now += CLAIM_S + 1
    assert shelf.of("second").take("D301", ["a"]).ours == ["a"]


def test_the_claim_of_a_process_that_is_gone_counts_for_nothing(shelf: Shelf) -> None:
    code = (
        "from pathlib import Path; import os, sys\n"
        "from pipeline.run.known_patents import KnownPatents\n"
        f"cache = KnownPatents(Path(sys.argv[1]), run='gone', say=print, now=lambda: {NOW})\n"
        "assert cache.take('D301', ['a']).ours == ['a']\n"
        "os._exit(9)\n"
    )
    assert completed(python(code, str(shelf.path)), cwd=shelf.path.parents[1], env={**os.environ}).returncode == 9
    assert shelf.of("next").take("D301", ["a"]).ours == ["a"]


def test_the_claim_of_a_process_whose_number_another_one_has_by_now_counts_for_nothing(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_patents, "start_of", lambda pid: "another-boot:1")
    shelf.of("before").take("D301", ["a"])
    assert shelf.of("next").take("D301", ["a"]).ours == ["a"]


def test_a_claim_of_a_clock_that_was_far_ahead_lasts_no_longer_than_any_other(shelf: Shelf) -> None:
    shelf.now += 10 * CLAIM_S
    shelf.of("ahead").take("D301", ["a"])
    shelf.now = NOW
    assert shelf.of("next").take("D301", ["a"]).ours == ["a"]


def test_a_claim_from_another_machine_is_believed(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_patents.socket, "gethostname", lambda: "elsewhere")
    monkeypatch.setattr(known_patents.os, "getpid", lambda: 999_999_999)
    shelf.of("theirs").take("D301", ["a"])
    monkeypatch.undo()
    assert shelf.of("ours").take("D301", ["a"]).others == ["a"]


def test_the_file_and_its_folder_are_private(shelf: Shelf) -> None:
    shelf.of("run").keep("D301", {"a": BODY})
    assert stat.S_IMODE(shelf.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(shelf.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", ["no database", "a folder", "another table", "no folder can be made"])
def test_a_cache_that_cannot_be_used_is_one_remark_and_this_run_still_asks_once(damage: str, shelf: Shelf) -> None:
    match damage:
        case "no folder can be made":
            shelf.path.parent.write_bytes(b"")
        case "a folder":
            shelf.path.mkdir(parents=True)
        case "no database":
            shelf.path.parent.mkdir()
            shelf.path.write_bytes(b"no database" * 1000)
        case _:
            shelf.path.parent.mkdir()
            with closing(sqlite3.connect(shelf.path, isolation_level=None)) as db:
                db.execute("CREATE TABLE patents (x)")
    cache = shelf.of("run")
    assert cache.take("D301", ["a", "b"]).ours == ["a", "b"]
    cache.keep("D301", {"a": BODY, "b": None})
    assert cache.take("D301", ["a", "b", "c"]) == ({"a": BODY, "b": None}, ["c"], [])
    cache.give_back("D301", ["c"])
    cache.close()
    assert len(shelf.said) == 1
    assert str(shelf.path) in shelf.said[0]
    assert not cache.usable


def test_a_cache_that_another_process_holds_is_not_to_be_moved_away(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = shelf.of("run")
    cache.take("D301", ["a"])
    assert cache._db is not None
    cache._db.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(shelf.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        cache.take("D301", ["b"])
    assert "leave it where it is" in shelf.said[0]
    assert "move" not in shelf.said[0]


def test_an_answer_of_a_clock_that_was_far_ahead_is_not_believed(shelf: Shelf) -> None:
    shelf.of("run").keep("D301", {"a": BODY})
    shelf.now -= 10 * 86_400
    assert shelf.of("run").take("D301", ["a"]).ours == ["a"]


MANY = """
import sys
from pathlib import Path
from pipeline.run.known_patents import KnownPatents
cache = KnownPatents(Path(sys.argv[1]), run=sys.argv[2], say=lambda text: print("said", text))
for start in range(0, 400, 20):
    ids = [f"p{n}" for n in range(start, start + 20)]
    taken = cache.take("D301", ids)
    print(*taken.ours)
    cache.keep("D301", {id_: b"1" for id_ in taken.ours})
cache.close()
"""


@pytest.mark.proofs
def test_processes_side_by_side_ask_for_each_patent_once(shelf: Shelf) -> None:
    import subprocess

    command = [sys.executable, "-c", MANY, str(shelf.path)]
    running = [subprocess.Popen([*command, f"run{n}"], stdout=subprocess.PIPE, text=True) for n in range(4)]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4
    asked = " ".join(said).split()
    assert len(asked) == len(set(asked)) == 400

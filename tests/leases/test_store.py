"""Promises of the stores: one winner for each name, lost answers are found out, and nothing is put elsewhere."""

import os
import stat
import threading
from collections import Counter
from pathlib import Path
from typing import cast

import pytest
from obstore.store import LocalStore, MemoryStore

from pipeline.errors import SpecError
from pipeline.leases import opening
from pipeline.leases.folder_store import FolderStore
from pipeline.leases.object_store import ObjectStore
from pipeline.leases.opening import open_store
from pipeline.leases.store import Entry, Store, StoreUnknown, name_of, parts_of, put_after, put_mine, put_value, written
from tests.support import lease_stores
from tests.support.lease_stores import race
from tests.support.lengths import THOROUGH

KINDS = ["folder", "bucket in a folder", "bucket in memory", "memory"]


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(str(tmp_path))
    if request.param == "memory":
        return lease_stores.MemoryStore()
    bucket = LocalStore(tmp_path) if request.param == "bucket in a folder" else MemoryStore()
    return ObjectStore(bucket, "test")


def test_an_entry_is_put_once_and_read_as_it_was_put(store: Store) -> None:
    assert store.put_new("w/a", 1, b"first")
    assert not store.put_new("w/a", 1, b"second")
    assert store.read("w/a", 1) == b"first"
    assert store.read("w/a", 2) is None


def test_the_newest_entry_of_each_series_below_a_room_is_found(store: Store) -> None:
    for series, number in [("w/a", 1), ("w/a", 2), ("w/a", 10), ("w/b", 1), ("wide/c", 1), ("q/x/search/0", 3)]:
        store.put_new(series, number, f"{series} {number}".encode())
    assert store.newest("w") == {"w/a": Entry(10, b"w/a 10"), "w/b": Entry(1, b"w/b 1")}
    assert store.newest("w/a") == {}, "a series is no room"
    assert store.newest("q/x") == {"q/x/search/0": Entry(3, b"q/x/search/0 3")}
    assert store.newest("q/x") == store.newest("q")
    assert store.newest("t") == {}


def test_dropped_entries_are_gone_and_their_series_goes_on(store: Store) -> None:
    for number in (1, 2, 3):
        store.put_new("w/a", number, b"%d" % number)
    store.drop("w/a", 1)
    store.drop("w/a", 1)
    assert store.read("w/a", 1) is None
    assert store.newest("w") == {"w/a": Entry(3, b"3")}


@pytest.mark.parametrize("racers", [8])
def test_of_threads_that_put_one_name_one_succeeds(store: Store, racers: int) -> None:
    won: list[int] = []
    together = threading.Barrier(racers)

    def compete(me: int) -> None:
        together.wait()
        won.extend(name for name in range(1, 6) if put_mine(store, "race", name, {"by": me}))

    threads = [threading.Thread(target=compete, args=(me,)) for me in range(racers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(won) == dict.fromkeys(range(1, 6), 1)


@pytest.mark.proofs
@pytest.mark.parametrize("names", [5000 if THOROUGH else 300])
def test_of_processes_that_put_one_name_in_a_folder_one_succeeds(names: int, tmp_path: Path) -> None:
    told = race(tmp_path, racers=8, names=names)
    assert Counter(name for won in told for name in won) == dict.fromkeys(range(1, names + 1), 1)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


# --- lost answers ---


@pytest.mark.parametrize("lost", [["after"], ["before"], ["", ""]])
def test_a_lost_answer_is_found_out_by_putting_again(lost: list[str]) -> None:
    store = lease_stores.MemoryStore()
    answers = iter(lost)
    store.lose = lambda call: next(answers, "") if call == "put" else ""
    assert put_mine(store, "w/a", 1, {})
    assert not put_mine(store, "w/a", 1, {})


def test_a_put_that_a_store_repeats_by_itself_is_known_by_its_nonce() -> None:
    store = lease_stores.MemoryStore()
    value = written({"by": "me"})
    store.put_new("w/a", 1, value)  # the first of two that the client sent for one call
    assert put_value(store, "w/a", 1, value)
    assert not put_value(store, "w/a", 1, written({"by": "me"}))


@pytest.mark.parametrize("lost", [["before", "before"], ["after", "after"]])
def test_when_no_answer_comes_nobody_claims_to_know(lost: list[str]) -> None:
    store = lease_stores.MemoryStore()
    answers = iter(lost)
    store.lose = lambda call: next(answers, "") if call == "put" else ""
    with pytest.raises(StoreUnknown):
        put_mine(store, "w/a", 1, {})


def test_whoever_acts_on_a_view_that_is_older_than_what_is_kept_wins_nothing(store: Store) -> None:
    for number in range(1, 6):
        put_mine(store, "w/a", number, {})
    first = cast("bytes", store.read("w/a", 1))
    fifth = store.newest("w")["w/a"]
    for number in (1, 2, 3):
        store.drop("w/a", number)
    assert not put_after(store, "w/a", Entry(1, first), {"dead": "b"}), "entry 2 was dropped, its name is free"
    assert put_after(store, "w/a", fifth, {"dead": "b"})


# --- names ---


@pytest.mark.parametrize("name", ["../x", "w//a", "", "/w", "w/", "W/a", "w/a.b", "w/..", "w/a\0", "w/" + "a" * 101])
def test_no_name_leads_out_of_a_store(name: str, store: Store) -> None:
    with pytest.raises(ValueError, match="names no series"):
        store.put_new(name, 1, b"")


@pytest.mark.parametrize("text", ["", "Müller GmbH", "../../etc", "a" * 300, "x y", "ACME", "acme"])
def test_every_text_becomes_a_name_of_its_own(text: str) -> None:
    assert parts_of(name_of(text)) == [name_of(text)]
    assert name_of(text) != name_of(text + " ")
    assert (name_of(text) == text) == (text == "acme")


# --- folders ---


def test_what_lies_in_a_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.put_new("w/a", 1, b"x")
    assert stat.S_IMODE((tmp_path / "w").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "w" / "a.000000000001").stat().st_mode) == 0o600


def test_a_folder_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="not mounted") as told:
        open_store("leases", tmp_path)
    assert str(tmp_path / "leases") in str(told.value)
    assert not (tmp_path / "leases").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "leases").touch()
    with pytest.raises(SpecError, match="Not a directory"):
        open_store(str(tmp_path / "leases"))


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pipeline.leases.folder_store.private", refused)
    with pytest.raises(SpecError, match="Permission denied; all machines must write it as one user"):
        open_store(str(tmp_path))


def test_a_file_system_without_links_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(SpecError, match="must have hard links"):
        open_store(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_vanishes_gives_no_answer_and_is_not_begun_anew(tmp_path: Path) -> None:
    place, away = tmp_path / "mount", tmp_path / "away"
    place.mkdir()
    store = open_store(str(place))
    store.put_new("w/a", 1, b"x")
    place.rename(away)
    for empty in (False, True):  # gone, then the empty place that a file system leaves when it is unmounted
        if empty:
            place.mkdir()
        for call in (lambda: store.newest("w"), lambda: store.put_new("w/a", 2, b""), lambda: store.read("w/a", 1)):
            with pytest.raises(StoreUnknown):
                call()
    assert list(place.iterdir()) == []
    place.rmdir()
    away.rename(place)
    assert store.newest("w") == {"w/a": Entry(1, b"x")}


def test_another_store_in_the_same_folder_gives_no_answer(tmp_path: Path) -> None:
    place = tmp_path / "mount"
    place.mkdir()
    store = open_store(str(place))
    place.rename(tmp_path / "away")
    place.mkdir()
    open_store(str(place))
    with pytest.raises(StoreUnknown, match="another store"):
        store.newest("w")


def test_a_store_that_is_mounted_anew_is_known_by_what_it_holds(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    version = tmp_path / "format.000000000001"
    copy = tmp_path / "copy"
    copy.write_bytes(version.read_bytes())
    copy.replace(version)  # the same bytes, another inode
    assert store.newest("w") == {}


def test_a_full_disk_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.leases.folder_store.write_all", full)
        with pytest.raises(StoreUnknown, match="No space left"):
            store.put_new("w/a", 1, b"x")
    assert store.put_new("w/a", 1, b"x")


@pytest.mark.parametrize("ours", [True, False])
def test_a_link_that_a_network_file_system_repeats_by_itself_is_known_for_ours(
    ours: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path))
    link = os.link

    def repeated(draft: Path, path: Path) -> None:
        if ours:
            link(draft, path)
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(os, "link", repeated)
    assert store.put_new("w/a", 1, b"x") == ours


def test_drafts_that_a_death_left_are_deleted_after_a_day(tmp_path: Path) -> None:
    store = FolderStore.open(tmp_path)
    store.put_new("w/a", 1, b"x")
    old, new = tmp_path / "w" / ".a.000000000002.0123.new", tmp_path / "w" / ".a.000000000002.4567.new"
    for draft in (old, new):
        draft.touch()
    os.utime(old, (1, 1))
    assert FolderStore.open(tmp_path).newest("w") == {"w/a": Entry(1, b"x")}
    assert (old.exists(), new.exists()) == (False, True)


# --- versions and buckets ---


def test_whoever_begins_a_store_is_told_as_it_may_be_the_wrong_place(tmp_path: Path) -> None:
    told: list[str] = []
    open_store(str(tmp_path), say=told.append)
    open_store(str(tmp_path), say=told.append)
    assert told == [f"{tmp_path}: leases begin here; every machine that shares the account must see this same place"]


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    open_store(str(tmp_path))
    open_store(str(tmp_path))
    (tmp_path / "format.000000000001").write_bytes(b'{"format": 3}')
    with pytest.raises(SpecError, match="version 3, this program knows version 2; use one version"):
        open_store(str(tmp_path))


def test_a_store_of_an_earlier_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """What lives in it is not seen by this program, nor this program by it: they must never share an account."""
    open_store(str(tmp_path))
    (tmp_path / "format.000000000001").write_bytes(b'{"format": 1}')
    with pytest.raises(
        SpecError, match=r"version 1, this .*; let all runs there end .*, then name a new place for all"
    ):
        open_store(str(tmp_path))


def test_without_the_extra_a_bucket_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(opening.__dict__["__builtins__"], "__import__", _without_obstore)
    with pytest.raises(SpecError, match=r"needs the library obstore") as told:
        open_store("s3://key:secret@bucket/leases?X-Amz-Signature=secret")
    assert "secret" not in str(told.value)
    assert told.value.lines[0].fix == "pip install 'infringement-pipeline[cluster]'"


def _without_obstore(name: str, *more: object, **named: object) -> object:
    if name == "pipeline.leases.object_store":
        raise ModuleNotFoundError("No module named 'obstore'")
    return __import__(name, *more, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", ["s3:///", "az://container/x"])
def test_an_address_that_names_no_bucket_is_refused(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(SpecError, match="cannot be used"):
        open_store(place)

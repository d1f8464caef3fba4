"""The first pass over local pictures: free, the same however often, and known to the split that follows."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from pipeline.cluster import first_pass
from pipeline.cluster.first_pass import Prepared, look_over, prepare
from pipeline.cluster.prepared import Part
from pipeline.job.schema import JobSpec
from pipeline.models import CONTENT
from pipeline.run.load import load_spec
from pipeline.sources import looks
from pipeline.sources.items import read_items
from tests.support.processes import python, running, until

LONG_AGO = 1_600_000_000


def one_after_the_other(function: Callable[[Part], Prepared], parts: Iterable[Part]) -> Iterator[Prepared]:
    return map(function, parts)


def put(file: Path, data: bytes, at: int = LONG_AGO) -> None:
    """Write a file that was changed long ago: of one that is younger nothing is noted."""
    file.write_bytes(data)
    os.utime(file, (at, at))


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobSpec:
    """Make a job of 25 local pictures, 10 in a part, two of them with the same bytes, one that is no file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(first_pass, "_OF_A_PART", 10)
    (tmp_path / "photos").mkdir()
    for number in range(25):
        put(tmp_path / "photos" / f"{number:02}.jpg", b"picture %d" % (number % 24))
    (tmp_path / "photos" / "09.jpg").unlink()
    (tmp_path / "photos" / "09.jpg").symlink_to("/dev/null")
    (tmp_path / "job.yaml").write_text(
        "version: 1\nname: prepared\nimages: [{path: photos/*.jpg}]\nupload: {public: true}\n"
        "cluster: {shared: shared}\napi: {base_url: sandbox}\n"
    )
    return load_spec(tmp_path / "job.yaml")


def made(tmp_path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (tmp_path / "shared").rglob("seen-*")}


def identities(job: JobSpec) -> list[str]:
    return [item.identity for item in read_items(job)]


@pytest.mark.proofs
def test_all_cores_find_what_the_split_would(job: JobSpec, tmp_path: Path) -> None:
    expected = [(looks.digest_of(job.root_path, item.source), item.source) for item in read_items(job, contents=False)]
    seen: list[int] = []
    assert prepare(job, tmp_path / "shared", watch=seen.append) == Prepared(pictures=25, unreadable=1, read=25)
    assert seen[-1] == 25
    assert len(made(tmp_path)) == 3
    assert identities(job) == [f"{CONTENT}{sha}" if sha else f"path:{source}" for sha, source in expected]


def test_the_split_reads_no_picture_again(job: JobSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(job, tmp_path / "shared", spread=one_after_the_other)
    read: list[str] = []
    monkeypatch.setattr(looks, "digest_of", lambda root, source, most: read.append(source))
    assert sum(identity.startswith(CONTENT) for identity in identities(job)) == 24
    assert read == []


def test_it_may_be_repeated_and_stopped_anywhere(job: JobSpec, tmp_path: Path) -> None:
    prepare(job, tmp_path / "shared", spread=one_after_the_other)
    whole = made(tmp_path)
    assert prepare(job, tmp_path / "shared", spread=one_after_the_other).read == 1, "only what could not be read"
    assert made(tmp_path) == whole
    for name in list(whole)[:2]:
        next((tmp_path / "shared").rglob(name)).unlink()
    prepare(job, tmp_path / "shared", spread=one_after_the_other)
    assert made(tmp_path) == whole
    next((tmp_path / "shared").rglob("seen-0000.jsonl")).write_bytes(b"\x00" * 100)
    prepare(job, tmp_path / "shared", spread=one_after_the_other)
    assert made(tmp_path) == whole


def test_a_picture_that_changed_is_read_again(job: JobSpec, tmp_path: Path) -> None:
    prepare(job, tmp_path / "shared", spread=one_after_the_other)
    before = identities(job)
    put(tmp_path / "photos" / "03.jpg", b"another")
    put(tmp_path / "photos" / "04.jpg", b"pictura 4", at=LONG_AGO + 1)  # as many bytes as before
    assert prepare(job, tmp_path / "shared", spread=one_after_the_other).read == 3
    after = identities(job)
    assert [number for number in range(25) if before[number] != after[number]] == [3, 4]


@pytest.mark.proofs
def test_a_kill_leaves_nothing_half_done(job: JobSpec, tmp_path: Path) -> None:
    prepare(job, tmp_path / "whole", spread=one_after_the_other)
    code = (
        "import sys, time, pathlib\nfrom pipeline.cluster import first_pass\nfrom pipeline.run.load import load_spec\n"
        "first_pass._OF_A_PART = 10\nlook = first_pass.look_over\n"
        "def slow(function, parts):\n    for part in parts:\n        yield look(part)\n        time.sleep(600)\n"
        "first_pass.prepare(load_spec(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]), spread=slow)"
    )
    with running(python(code, tmp_path / "job.yaml", tmp_path / "shared")) as process:
        until(lambda: made(tmp_path), by=process)
        process.send_signal(signal.SIGKILL)
    prepare(job, tmp_path / "shared", spread=one_after_the_other)
    assert made(tmp_path) == {file.name: file.read_bytes() for file in (tmp_path / "whole").rglob("seen-*")}


def test_two_that_do_the_same_part_write_the_same(job: JobSpec, tmp_path: Path) -> None:
    parts: list[Part] = []

    def twice(function: object, given: Iterable[Part]) -> Iterator[Prepared]:
        for part in given:
            parts.append(part)
            yield look_over(part)
            first = part.seen.read_bytes()
            part.seen.unlink()
            look_over(part)
            assert part.seen.read_bytes() == first

    prepare(job, tmp_path / "shared", spread=twice)
    assert len(parts) == 3

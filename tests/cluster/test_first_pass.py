"""The first pass over local pictures: free, the same however often, and known to the split that follows."""

import hashlib
import io
import os
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cluster import first_pass
from pipeline.cluster.first_pass import Prepared, look_over, prepare
from pipeline.cluster.prepared import Part, ahead_of, seen_in
from pipeline.job.schema import JobSpec
from pipeline.models import CONTENT, PIXELS
from pipeline.run.load import load_spec
from pipeline.sources import looks, made_ahead
from pipeline.sources.check import fingerprint
from pipeline.sources.inspection import inspect_items
from pipeline.sources.items import read_items
from pipeline.sources.looks import Verdict
from pipeline.sources.made_ahead import MadeAhead
from pipeline.sources.pictures import look_at_picture, read_picture
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


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Need no room that a machine with tests on it may not have."""
    monkeypatch.setattr(made_ahead, "_ROOM", 0)


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


def photo(shade: int, orientation: int = 1, compress_level: int = 6) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.radial_gradient("L").resize((64, 40)).point(lambda value: min(value, shade)).convert("RGB").save(
        buffer, "PNG", exif=exif, compress_level=compress_level
    )
    return buffer.getvalue()


@pytest.fixture
def photos(job: JobSpec, tmp_path: Path) -> JobSpec:
    """Make it a job by pixels with `upload.fit`: two files of one picture, another that is turned, and broken ones."""
    put(tmp_path / "photos" / "00.jpg", photo(200))
    put(tmp_path / "photos" / "01.jpg", photo(200, compress_level=1))
    put(tmp_path / "photos" / "02.jpg", photo(90, orientation=6))
    return load_spec(tmp_path / "job.yaml", overrides=["upload.fit=true", "cluster.same_picture=pixels"])


def all_made(tmp_path: Path) -> dict[str, bytes]:
    files = (tmp_path / "shared").rglob("*")
    return {str(file.relative_to(tmp_path)): file.read_bytes() for file in files if file.is_file()}


def is_draft(name: str) -> bool:
    return Path(name).name.startswith(".")


def test_pixels_are_digested_and_the_split_decodes_no_picture_again(
    photos: JobSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(photos, tmp_path / "shared", spread=one_after_the_other)
    decoded: list[str] = []
    monkeypatch.setattr(looks, "digest_of_pixels", lambda root, source, fit: decoded.append(source))
    found = [item.picture for item in read_items(photos)]
    assert found[0] == found[1] != found[2]
    assert all(picture.startswith(PIXELS) for picture in found[:3])
    assert all(picture.startswith(CONTENT) for number, picture in enumerate(found) if number not in (0, 1, 2, 9))
    assert not {"photos/00.jpg", "photos/01.jpg", "photos/02.jpg"} & set(decoded)


def test_pictures_are_made_fit_ahead_to_the_bytes_that_a_worker_would_send(photos: JobSpec, tmp_path: Path) -> None:
    done = prepare(photos, tmp_path / "shared", spread=one_after_the_other, ahead=True)
    assert (done.ahead, done.no_room) == (1, 0)
    ahead = MadeAhead(ahead_of(tmp_path / "shared", photos.name, fingerprint(photos)))
    by_itself = read_picture(photos.root_path, "photos/02.jpg", fit=True)
    assert by_itself.data != (tmp_path / "photos" / "02.jpg").read_bytes()
    found = ahead.find(by_itself.sha256)
    assert found == (by_itself.data, by_itself.file_type, "turned")
    assert read_picture(photos.root_path, "photos/02.jpg", fit=True, ahead=ahead) == by_itself
    assert by_itself.sha256 == hashlib.sha256((tmp_path / "photos" / "02.jpg").read_bytes()).hexdigest()


def test_what_lies_ready_is_sent_without_being_made_again(
    photos: JobSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(photos, tmp_path / "shared", spread=one_after_the_other, ahead=True)
    folder = ahead_of(tmp_path / "shared", photos.name, fingerprint(photos))
    read, _ = looks.readers(photos.root_path, fit=True, ahead=folder)
    monkeypatch.setattr("pipeline.sources.fitting.fit", lambda data: pytest.fail("it was made fit again"))
    assert read("photos/02.jpg").file_type == "png"


@pytest.mark.parametrize("damage", [b"", b"{}", b"x" * 40], ids=["empty", "no head", "no JSON"])
def test_a_damaged_one_is_made_anew_by_whoever_needs_it(photos: JobSpec, tmp_path: Path, damage: bytes) -> None:
    prepare(photos, tmp_path / "shared", spread=one_after_the_other, ahead=True)
    folder = ahead_of(tmp_path / "shared", photos.name, fingerprint(photos))
    [file] = [file for file in folder.rglob("*") if file.is_file()]
    whole = file.read_bytes()
    by_itself = read_picture(photos.root_path, "photos/02.jpg", fit=True)
    for bad in (damage, whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        file.write_bytes(bad)
        assert read_picture(photos.root_path, "photos/02.jpg", fit=True, ahead=MadeAhead(folder)) == by_itself


def test_without_room_nothing_is_kept_and_that_is_counted(
    photos: JobSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_ahead, "_ROOM", 1 << 62)
    done = prepare(photos, tmp_path / "shared", spread=one_after_the_other, ahead=True)
    assert (done.ahead, done.no_room) == (0, 1)
    monkeypatch.setattr(made_ahead, "_ROOM", 0)
    assert prepare(photos, tmp_path / "shared", spread=one_after_the_other, ahead=True).ahead == 1


def test_what_was_removed_is_made_again_and_all_bytes_are_the_same(photos: JobSpec, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "shared", spread=one_after_the_other, ahead=True, opened=True)
    whole = all_made(tmp_path)
    again = prepare(photos, tmp_path / "shared", spread=one_after_the_other, ahead=True, opened=True)
    assert again.read == 1, "only what could not be read"
    for file in [next((tmp_path / "shared").rglob(name)) for name in ("list-0001*", "seen-fit-0000*", "ahead/*/*/*")]:
        file.unlink()
        prepare(photos, tmp_path / "shared", spread=one_after_the_other, ahead=True, opened=True)
        assert all_made(tmp_path) == whole, file.name


def test_more_that_is_asked_is_found_beside_what_is_known(photos: JobSpec, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "shared", spread=one_after_the_other, opened=True)
    prepare(photos, tmp_path / "shared", spread=one_after_the_other, ahead=True)
    first = next(seen_in(next((tmp_path / "shared").rglob("seen-fit-0000.jsonl"))))
    assert first.pixels
    assert (first.fitted, first.verdict) == ("", Verdict())
    assert prepare(photos, tmp_path / "shared", spread=one_after_the_other, opened=True).read == 1


def test_pixels_are_digested_where_a_pass_by_bytes_came_before(photos: JobSpec, tmp_path: Path) -> None:
    by_bytes = load_spec(tmp_path / "job.yaml", overrides=["upload.fit=true"])
    prepare(by_bytes, tmp_path / "shared", spread=one_after_the_other)
    assert prepare(photos, tmp_path / "shared", spread=one_after_the_other).read == 25


def test_a_check_opens_no_picture_that_a_first_pass_opened(
    photos: JobSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [item.problem for item in inspect_items(photos)]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    prepare(photos, tmp_path / "shared", spread=one_after_the_other, opened=True)
    opened: list[str] = []
    monkeypatch.setattr("pipeline.sources.inspection.look_at_picture", _noting(opened))
    assert [item.problem for item in inspect_items(photos)] == expected
    assert opened == ["photos/09.jpg"], "what cannot be read may be readable the next time"


def _noting(opened: list[str]) -> Callable[..., str]:
    def look(root: Path, source: str, *, fit: bool) -> str:
        opened.append(source)
        return look_at_picture(root, source, fit=fit)

    return look


def test_a_job_that_compares_no_pictures_reads_none(photos: JobSpec, tmp_path: Path) -> None:
    by_source = load_spec(tmp_path / "job.yaml", overrides=["cluster.same_picture=source"])
    assert prepare(by_source, tmp_path / "shared", spread=one_after_the_other, ahead=True) == Prepared()


def test_what_a_process_or_a_machine_is_told_is_paths_and_no_secret(photos: JobSpec, tmp_path: Path) -> None:
    """Ray writes arguments down, and whoever may read its logs reads them."""
    told: list[Part] = []

    def noted(function: Callable[[Part], Prepared], parts: Iterable[Part]) -> Iterator[Prepared]:
        for part in parts:
            told.append(part)
            yield function(part)

    prepare(photos, tmp_path / "shared", spread=noted, ahead=True, opened=True)
    for part in told:
        texts = [value for value in part if isinstance(value, str)]
        assert texts == [str(ahead_of(tmp_path / "shared", photos.name, fingerprint(photos)).parent), str(tmp_path)]
        assert all(isinstance(value, str | int | bool) for value in part)


@pytest.mark.proofs
def test_a_kill_in_the_middle_of_a_part_leaves_nothing_half_done(photos: JobSpec, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "shared", spread=one_after_the_other, ahead=True)
    whole = all_made(tmp_path)
    shutil.rmtree(tmp_path / "shared")
    code = (
        "import sys, time, pathlib\nfrom pipeline.cluster import first_pass\nfrom pipeline.run.load import load_spec\n"
        "from pipeline.sources import made_ahead\n"
        "first_pass._OF_A_PART, made_ahead._ROOM, keep = 10, 0, made_ahead.MadeAhead.keep\n"
        "def slow(self, *what):\n    keep(self, *what)\n    time.sleep(600)\n"
        "made_ahead.MadeAhead.keep = slow\n"
        "spec = load_spec(pathlib.Path(sys.argv[1]), overrides=['upload.fit=true', 'cluster.same_picture=pixels'])\n"
        "first_pass.prepare(spec, pathlib.Path(sys.argv[2]), spread=map, ahead=True)"
    )
    with running(python(code, tmp_path / "job.yaml", tmp_path / "shared")) as process:
        until(lambda: any("/ahead/" in name and not is_draft(name) for name in all_made(tmp_path)), by=process)
        process.send_signal(signal.SIGKILL)
    left = all_made(tmp_path)
    assert not any("seen-" in name for name in left)
    assert left.items() <= whole.items()
    prepare(photos, tmp_path / "shared", spread=one_after_the_other, ahead=True)
    assert all_made(tmp_path) == whole

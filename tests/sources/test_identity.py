"""One picture is one picture: however it is named, and however many copies of its file there are."""

import os
from pathlib import Path

import pytest

from pipeline.job.reach import check_picture_url
from pipeline.sources import looks as looks_module
from pipeline.sources.items import identity_of_file, read_items
from pipeline.sources.looks import Looks
from pipeline.sources.names import as_listed, on_disk
from pipeline.sources.urls import checked_identity, identity_of_url
from tests.support.fixtures import Job


@pytest.mark.parametrize(
    "spelling",
    [
        "https://h.example/a.jpg?v=1",
        "https://h.example/a.jpg?v=1#top",
        "HTTPS://H.Example/a.jpg?v=1",
        "https://h.example:443/a.jpg?v=1",
    ],
)
def test_spellings_of_one_url_are_one_picture(spelling: str) -> None:
    assert identity_of_url(spelling) == "https://h.example/a.jpg?v=1"


@pytest.mark.parametrize(
    "other",
    [
        "http://h.example/a.jpg?v=1",
        "https://h.example:80/a.jpg?v=1",
        "https://h.example/A.jpg?v=1",
        "https://h.example/a.jpg?v=2",
        "https://h.example/a.jpg",
        "https://www.h.example/a.jpg?v=1",
    ],
)
def test_urls_that_may_name_other_files_are_other_pictures(other: str) -> None:
    assert identity_of_url(other) != identity_of_url("https://h.example/a.jpg?v=1")


def test_bare_host_has_the_root_as_its_path() -> None:
    assert identity_of_url("http://[::1]:80") == identity_of_url("http://[::1]/")


def test_items_keep_the_urls_that_the_job_wrote(job: Job) -> None:
    written = "https://H.example:443/a.jpg#top"
    [one, two] = read_items(job(f"{{url: '{written}'}}", "{url: 'https://h.example/a.jpg'}"))
    assert (one.source, one.identity) == (written, two.identity)


def test_copies_of_a_file_are_one_picture_wherever_they_are_listed(job: Job, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"one picture")
    (tmp_path / "sub" / "d.jpg").write_bytes(b"another pic")
    (tmp_path / "p.csv").write_text("id,path\n1,./a.jpg\n2,sub//c.jpg\n3,sub\\d.jpg\n")
    found = list(read_items(job("{path: '*.jpg'}", "{path: sub/c.jpg}", "{manifest: p.csv}")))
    assert [item.source for item in found] == ["a.jpg", "b.jpg", "sub/c.jpg", "./a.jpg", "sub//c.jpg", "sub/d.jpg"]
    assert len({item.identity for item in found[:5]}) == 1
    assert found[5].identity != found[0].identity


def test_without_their_contents_spellings_of_one_path_are_still_one_picture(job: Job, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("path\na.jpg\n./a.jpg\nsub//b.jpg\nsub/b.jpg\n")
    one, two, three, four = (item.identity for item in read_items(job("{manifest: p.csv}"), contents=False))
    assert (one, three) == (two, four)
    assert one != three


def test_folder_that_links_to_itself_lists_each_file_once(job: Job, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "2026").mkdir(parents=True)
    (photos / "2026" / "a.jpg").touch()
    (photos / "up").symlink_to("..")
    (photos / "latest").symlink_to("2026")
    for pattern in ("photos/**/*.jpg", "photos/**", "**/**/*.jpg", "photos/*/*.jpg"):
        assert [item.source for item in read_items(job(f"{{path: '{pattern}'}}"))] == ["photos/2026/a.jpg"]
    assert [item.source for item in read_items(job("{path: 'photos/latest/*.jpg'}"))] == ["photos/latest/a.jpg"]


def test_pattern_may_be_written_with_backslashes(job: Job, tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "a.jpg").touch()
    assert [item.source for item in read_items(job("{path: 'pics\\*.jpg'}", "{path: 'pics\\a.jpg'}"))] == [
        "pics/a.jpg",
        "pics/a.jpg",
    ]


def test_names_of_files_are_utf_8_in_every_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsencode", lambda name: name.encode("latin-1"))
    monkeypatch.setattr(os, "fsdecode", lambda name: name.decode("latin-1"))
    found = "商标.jpg".encode().decode("latin-1")  # what a system with a Latin-1 locale says the file is called
    assert as_listed(found) == "商标.jpg"
    assert on_disk("商标.jpg") == found


# --- the cache ---


@pytest.fixture
def old(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    path = tmp_path / "root" / "a.jpg"
    path.write_bytes(b"as it was")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def identity(path: Path, cache: Path) -> str:
    looks = Looks(cache)
    try:
        return identity_of_file(path.parent, path.name, looks)
    finally:
        looks.close()


def test_second_look_reads_only_what_changed(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity(old, tmp_path / "cache")
    opened: list[str] = []
    really = looks_module.digest_of
    monkeypatch.setattr(looks_module, "digest_of", lambda root, name, most: opened.append(name) or really(root, name))
    assert identity(old, tmp_path / "cache") == before
    assert opened == []
    old.write_bytes(b"as it is now")
    assert identity(old, tmp_path / "cache") != before
    assert opened == [old.name]


def test_file_that_changed_just_now_is_read_again(old: Path, tmp_path: Path) -> None:
    """Within one tick of a file system's clock a file can change twice, and its time of change would be the same."""
    old.write_bytes(b"version 1")
    status = old.stat()
    before = identity(old, tmp_path / "cache")
    old.write_bytes(b"version 2")
    os.utime(old, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert identity(old, tmp_path / "cache") != before


def test_cache_that_cannot_be_used_changes_nothing(old: Path, tmp_path: Path) -> None:
    with_cache = identity(old, tmp_path / "cache")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "pictures.sqlite").write_bytes(b"no database at all" * 100)
    (tmp_path / "file").touch()
    assert identity(old, tmp_path / "broken") == identity(old, tmp_path / "file") == with_cache


def test_file_that_cannot_be_read_is_known_by_its_path(tmp_path: Path) -> None:
    assert identity_of_file(tmp_path, "./none.jpg", Looks(tmp_path)) == "path:none.jpg"


@pytest.mark.parametrize(
    "url",
    [
        "https://h.example/a.jpg?v=1", "http://h.example/", "https://h.example/?", "https://h.example",
        "HTTPS://H.Example/a", "https://h.example:443/a", "https://h.example/a#b",
        "https://h.example/ä.jpg", "https://h.example/" + "a" * 2000,
    ],
)  # fmt: skip
def test_a_url_that_is_checked_has_the_identity_that_it_has_anywhere(url: str) -> None:
    assert checked_identity(url) == identity_of_url(check_picture_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/a.jpg",
        "https://http/a.jpg",
        "ftp://h.example/a",
        "https://u:p@h.example/a",
        "https://10.0.0.1/",
    ],
)
def test_a_url_is_refused_in_the_same_words_with_its_identity(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as alone:
        check_picture_url(url)
    with pytest.raises(ValueError, match=r".") as together:
        checked_identity(url)
    assert str(alone.value) == str(together.value)

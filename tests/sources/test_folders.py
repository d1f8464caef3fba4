"""Folders and zips of pictures: each picture an item, in order, and nothing else of what lies there."""

import io
import os
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import ItemRefused, SpecError
from pipeline.sources.check import check_sources, find_faulty_items, fingerprint
from pipeline.sources.folders import list_path
from pipeline.sources.inspection import inspect_items
from pipeline.sources.items import read_items
from pipeline.sources.looks import Looks
from pipeline.sources.pictures import MAX_BYTES, read_picture
from pipeline.sources.remarks import left_out
from tests.support.fixtures import Job


def drawn(colour: int = 0, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (colour, 80, 80)).save(buffer, kind)
    return buffer.getvalue()


def pack(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


# --- folders ---


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ("b.JPG", "a.jpg", "Summer/10.png", "Summer/9.jpg", "Summer/deep/x.webp", "notes.txt", "list.xlsx")
    hidden = (".hidden.jpg", ".git/c.jpg", "__MACOSX/d.jpg", "Summer/Thumbs.db", "Summer/._9.jpg", ".DS_Store")
    for name in (*names, *hidden):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn())
    return tmp_path / "photos"


@pytest.mark.parametrize("path", ["photos", "photos/", "./photos"])
def test_a_folder_is_all_its_pictures_sorted_and_at_every_depth(job: Job, folder: Path, path: str) -> None:
    items = list(read_items(job(f"{{path: {path}, labels: {{client: acme}}}}")))
    assert [item.source for item in items] == [
        "photos/Summer/10.png",
        "photos/Summer/9.jpg",
        "photos/Summer/deep/x.webp",
        "photos/a.jpg",
        "photos/b.JPG",
    ]
    assert [(item.id, item.labels) for item in items][-2:] == [("a", {"client": "acme"}), ("b", {"client": "acme"})]


def test_what_is_no_picture_in_a_folder_is_counted_and_named(job: Job, folder: Path) -> None:
    [remark] = left_out(job("{path: photos}"))
    assert remark == "images[0].path: photos leaves out 2 files without a picture's ending: list.xlsx, notes.txt"


def test_what_runs_wrote_is_none_of_the_pictures_of_the_folder_it_lies_in(job: Job, tmp_path: Path) -> None:
    for name in ("a.jpg", "runs/a/sandbox/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(drawn())
    assert [item.source for item in read_items(job("{path: .}"))] == ["a.jpg"]


def test_a_picture_that_is_added_to_a_folder_changes_its_fingerprint(job: Job, folder: Path) -> None:
    spec = job("{path: photos}")
    before = fingerprint(spec)
    (folder / "new.txt").touch()
    assert fingerprint(spec) == before
    (folder / "new.jpg").touch()
    assert fingerprint(spec) != before


def test_a_link_to_a_folder_is_not_followed_and_one_out_of_the_root_is_told(job: Job, folder: Path) -> None:
    (folder / "again").symlink_to(folder)
    (folder / "out.jpg").symlink_to("/dev/null")
    items = list(inspect_items(job("{path: photos}")))
    assert [item.source for item in items if item.problem is not None] == ["photos/out.jpg"]
    assert len(items) == 6


def test_an_id_is_of_one_picture(job: Job, folder: Path) -> None:
    with pytest.raises(SpecError, match="an id belongs to one picture; photos may hold many"):
        check_sources(job("{id: A, path: photos}"))
    with pytest.raises(SpecError, match="a zip may hold many"):
        job("{id: A, path: photos.zip}")


# --- archives ---


def test_each_picture_of_a_zip_is_an_item_that_is_read_in_place(job: Job, tmp_path: Path) -> None:
    members = {"front/b.jpg": drawn(1), "a.png": drawn(2, "PNG"), "readme.txt": b"x", "front/": b"", ".x.jpg": b""}
    pack(tmp_path / "p.zip", members | {"__MACOSX/._a.png": b"", "deep/inner.zip": b""})
    spec = job("{path: p.zip}")
    before = sorted(tmp_path.iterdir())
    items = list(inspect_items(spec))
    assert [(item.id, item.source, item.problem) for item in items] == [
        ("a", "p.zip!/a.png", None),
        ("b", "p.zip!/front/b.jpg", None),
    ]
    assert read_picture(tmp_path, "p.zip!/front/b.jpg").data == members["front/b.jpg"]
    assert left_out(spec) == [
        "images[0].path: p.zip leaves out 2 files without a picture's ending: inner.zip, readme.txt"
    ]
    assert sorted(tmp_path.iterdir()) == before


def test_pictures_in_a_zip_are_known_by_their_content(job: Job, tmp_path: Path) -> None:
    (tmp_path / "same.jpg").write_bytes(drawn(1))
    pack(tmp_path / "p.zip", {"a.jpg": drawn(1), "b.jpg": drawn(2)})
    one, two, other = read_items(job("{path: p.zip}", "{path: same.jpg}"))
    assert one.identity == other.identity != two.identity
    assert other.identity.startswith("sha256:")


def test_a_pattern_of_zips_and_a_row_of_a_table_may_name_what_is_in_them(job: Job, tmp_path: Path) -> None:
    pack(tmp_path / "1.zip", {"a.jpg": drawn(1)})
    pack(tmp_path / "2.ZIP", {"a.jpg": drawn(2)})
    (tmp_path / "p.csv").write_text("id,path\nX,1.zip!/a.jpg\nY,1.zip!/none.jpg\n")
    items = list(inspect_items(job("{path: '*.zip'}", "{path: 2.ZIP}", "{manifest: p.csv}")))
    assert [item.source for item in items] == ["1.zip!/a.jpg", "2.ZIP!/a.jpg", "1.zip!/a.jpg", "1.zip!/none.jpg"]
    assert [item.problem is None for item in items] == [True, True, True, False]
    [fault] = find_faulty_items(job("{manifest: p.csv}"), most=9, quick=True)
    assert "there is no file '1.zip!/none.jpg'" in fault


def test_names_of_a_chinese_windows_are_read(job: Job, tmp_path: Path) -> None:
    pack(tmp_path / "p.zip", {"XXXX.jpg": drawn()})
    raw = (tmp_path / "p.zip").read_bytes()
    (tmp_path / "p.zip").write_bytes(raw.replace(b"XXXX", "商品".encode("gbk")))
    [item] = inspect_items(job("{path: p.zip}"))
    assert (item.id, item.source, item.problem) == ("商品", "p.zip!/商品.jpg", None)


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "x/../../a.jpg", "C:/a.jpg", "..\\a.jpg", "a\x07.jpg"])
def test_a_name_that_leaves_its_archive_reads_nothing(job: Job, tmp_path: Path, name: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "a.jpg").write_bytes(drawn())
    pack(tmp_path / "root/p.zip", {name: drawn()})
    [item] = inspect_items(job("{path: p.zip}", more="upload: {public: true}\nroot: root"))
    assert item.problem is not None
    assert "a name that leaves its archive" in item.problem.message


def broken(raw: bytes, kind: str) -> bytes:
    """Break the first member of an archive."""
    if kind == "encrypted":
        central = raw.index(b"PK\x01\x02")
        return raw[:6] + b"\x01" + raw[7 : central + 8] + b"\x01" + raw[central + 9 :]
    if kind == "method":
        central = raw.index(b"PK\x01\x02")
        return raw[: central + 10] + b"\x63" + raw[central + 11 :]
    return raw[:50] + bytes([raw[50] ^ 0xFF]) + raw[51:]


@pytest.mark.parametrize(
    ("kind", "words"), [("encrypted", "is encrypted"), ("method", "not usual"), ("bytes", "is damaged in its archive")]
)
def test_a_member_that_cannot_be_read_is_an_item_with_a_problem(
    job: Job, tmp_path: Path, kind: str, words: str
) -> None:
    pack(tmp_path / "p.zip", {"a.jpg": drawn(1), "b.jpg": drawn(2)})
    (tmp_path / "p.zip").write_bytes(broken((tmp_path / "p.zip").read_bytes(), kind))
    bad, good = inspect_items(job("{path: p.zip}"))
    assert bad.problem is not None
    assert words in bad.problem.message
    assert good.problem is None


def test_a_member_without_a_name_is_passed_over(job: Job, tmp_path: Path) -> None:
    pack(tmp_path / "p.zip", {"a.jpg": drawn(1), "b.jpg": drawn(2)})
    raw = (tmp_path / "p.zip").read_bytes()
    (tmp_path / "p.zip").write_bytes(raw.replace(b"b.jpg", b"\0.jpg"))
    assert [item.source for item in inspect_items(job("{path: p.zip}"))] == ["p.zip!/a.jpg"]


def test_of_two_members_with_one_name_neither_is_sent_for_the_other(job: Job, tmp_path: Path) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        warnings.simplefilter("ignore")  # zipfile warns of the second one
        for name, data in [("a.jpg", drawn(1)), ("b.jpg", drawn(2)), ("a.jpg", drawn(3)), ("b.jpg", drawn(2))]:
            archive.writestr(name, data)
    first, second = inspect_items(job("{path: p.zip}"))
    assert first.problem is not None
    assert "is one of several of this name in its archive" in first.problem.message
    assert second.problem is None


@pytest.mark.parametrize("archive", ["\u0130stanbul/p.zip", "\u0130.ZIP"])
def test_a_name_with_a_letter_that_is_longer_in_lower_case_finds_its_picture(
    job: Job, tmp_path: Path, archive: str
) -> None:
    (tmp_path / archive).parent.mkdir(exist_ok=True)
    pack(tmp_path / archive, {"a.jpg": drawn()})
    [item] = inspect_items(job(f"{{path: {archive}}}"))
    assert item.problem is None


@pytest.mark.proofs
def test_a_member_is_read_no_further_than_a_picture_may_be_large(tmp_path: Path) -> None:
    """Zeros pack a thousand times smaller; and what an archive says of a size is not believed."""
    pack(tmp_path / "p.zip", {"a.jpg": b"\0" * (200 << 20)})
    with pytest.raises(ItemRefused, match=r"is 204,800.0 KB; at most 4,096 KB"):
        read_picture(tmp_path, "p.zip!/a.jpg")
    raw = (tmp_path / "p.zip").read_bytes().replace((200 << 20).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    (tmp_path / "lie.zip").write_bytes(raw)
    with pytest.raises(ItemRefused, match="at most 4,096 KB") as error:
        read_picture(tmp_path, "lie.zip!/a.jpg")
    assert float(error.value.message.split()[3].replace(",", "")) < 2 * MAX_BYTES / 1024


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04 and no more", b"\xff" * 100_000])
def test_what_is_no_zip_is_a_fault_of_the_job(job: Job, tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "p.zip").write_bytes(raw)
    with pytest.raises(SpecError, match="the zip cannot be read: no whole zip archive"):
        check_sources(job("{path: p.zip}"))


def test_an_archive_of_endless_names_is_refused_before_they_are_read(job: Job, tmp_path: Path) -> None:
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 1 << 30, 0, 0)
    with (tmp_path / "p.zip").open("wb") as file:
        file.truncate(1 << 31)
        file.seek(0, os.SEEK_END)
        file.write(end)
    with pytest.raises(SpecError, match="more than a million files"):
        list_path(job("{path: p.zip}"), "p.zip")


def test_an_archive_that_is_replaced_is_read_anew_and_one_that_is_not_only_once(tmp_path: Path) -> None:
    pack(tmp_path / "p.zip", {"a.jpg": drawn(1)})
    os.utime(tmp_path / "p.zip", (1_700_000_000, 1_700_000_000))
    looks = Looks(tmp_path / "cache")
    before = looks.digest(tmp_path, "p.zip!/a.jpg")
    looks.close()
    pack(tmp_path / "p.zip", {"a.jpg": drawn(2)})
    looks = Looks(tmp_path / "cache")
    after = looks.digest(tmp_path, "p.zip!/a.jpg")
    assert None not in (before, after)
    assert before != after
    assert looks.digest(tmp_path, "p.zip!/none.jpg") is None
    looks.close()


def test_a_link_out_of_the_root_is_no_archive(job: Job, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    pack(tmp_path / "p.zip", {"a.jpg": drawn()})
    (tmp_path / "root/p.zip").symlink_to(tmp_path / "p.zip")
    with pytest.raises(SpecError, match="a link that leaves the job's root"):
        check_sources(job("{path: p.zip}", more="upload: {public: true}\nroot: root"))

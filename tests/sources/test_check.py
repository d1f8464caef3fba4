"""Sources looked at before a run: every fault at once, every row, and whether anything changed since."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import SpecError
from pipeline.sources import inspection
from pipeline.sources.check import check_sources, find_faulty_items, fingerprint
from tests.support.fixtures import Job
from tests.support.processes import PATIENCE_S


def test_all_faults_of_the_sources_are_told_at_once(job: Job, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,link\n")
    spec = job("{path: '*.jpg'}", "{manifest: p.csv}", "{manifest: none.jsonl}", "{path: ../a.jpg}")
    with pytest.raises(SpecError) as refusal:
        check_sources(spec)
    assert len(refusal.value.lines) == 4


def test_a_root_that_is_not_there_is_told(job: Job) -> None:
    with pytest.raises(SpecError, match=r"root: .*nowhere is no folder"):
        check_sources(job("{url: 'https://h.example/1.jpg'}", more="root: nowhere"))


def test_good_sources_are_looked_at_without_a_word(
    job: Job, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "p.csv").write_text("url\nhttps://h.example/1.jpg\n")
    check_sources(
        job("{path: '*.jpg'}", "{path: missing.jpg}", "{manifest: p.csv}", "{url: 'https://h.example/1.jpg'}")
    )
    assert (capfd.readouterr(), caplog.records) == (("", ""), [])


def test_manifest_without_rows_is_a_fault(job: Job, tmp_path: Path) -> None:
    """A broken export must not look like a finished screening."""
    (tmp_path / "p.csv").write_text("url\n")
    with pytest.raises(SpecError, match="no rows"):
        check_sources(job("{manifest: p.csv}"))


def test_check_reads_every_row_and_tells_equal_faults_once_with_their_count(job: Job, tmp_path: Path) -> None:
    rows = "".join(f"{n},ftp://h/{n}\n" for n in range(30))
    (tmp_path / "p.csv").write_text(f"id,url\nA,https://h.example/1\nA,https://h.example/2\n{rows}")
    faults = find_faulty_items(job("{manifest: p.csv}", "{path: missing.jpg}"), most=3)
    assert len(faults) == 3
    assert "the id 'A' is already used" in faults[0]
    assert faults[1] == "p.csv:4: a URL starts with https:// or http:// (30 like this)"
    assert "missing.jpg: the picture cannot be read" in faults[2]
    assert find_faulty_items(job("{manifest: p.csv}"), most=1)[1:] == ["... and 30 more"]


def test_check_opens_every_local_picture_unless_it_is_to_be_quick(job: Job, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"<html>403")
    Image.new("RGB", (64, 64)).save(tmp_path / "b.jpg")
    spec = job("{path: '*.jpg'}")
    seen: list[int] = []
    for _ in range(2):  # the second time from the cache, and as before
        [fault] = find_faulty_items(spec, most=9, watch=seen.append)
        assert fault.startswith("images[0]: a.jpg: the picture is a web page")
    assert seen == [1, 2, 1, 2]
    assert find_faulty_items(spec, most=9, quick=True) == []


def test_progress_counts_the_pictures_that_were_looked_at_not_those_handed_out(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    begun, go_on = threading.Semaphore(0), threading.Event()

    def slow(root: Path, source: str, fit: bool) -> str:
        begun.release()
        assert go_on.wait(PATIENCE_S)
        return ""

    monkeypatch.setattr(inspection, "look_at_picture", slow)
    monkeypatch.setattr("pipeline.sources.inspection.cores", lambda: 3)
    told: list[int] = []
    spec = job("{path: '*.jpg'}")
    check = threading.Thread(target=find_faulty_items, args=(spec,), kwargs={"most": 9, "watch": told.append})
    check.start()
    try:
        for _ in range(3):
            assert begun.acquire(timeout=PATIENCE_S)
        assert told == []
    finally:
        go_on.set()
        check.join()
    assert told == [1, 2, 3]


def test_second_check_decodes_no_picture_that_is_as_it_was(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, data in (("a.jpg", b"<html>403"), ("b.jpg", b"GIF8")):
        (tmp_path / name).write_bytes(data)
        os.utime(tmp_path / name, (1_700_000_000, 1_700_000_000))
    spec = job("{path: '*.jpg'}")
    before = find_faulty_items(spec, most=9)
    monkeypatch.setattr(
        inspection, "look_at_picture", lambda root, source, fit: pytest.fail(f"{source} was read again")
    )
    assert find_faulty_items(spec, most=9) == before
    assert len(before) == 2


def test_a_folder_without_pictures_is_a_fault(job: Job, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(SpecError, match="no picture in photos"):
        check_sources(job("{path: photos}"))


# --- the fingerprint ---

IMAGES = ("{path: '*.jpg'}", "{manifest: p.csv}", "{url: 'https://h.example/0.jpg'}")


@pytest.fixture
def portfolio(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"a")
    (tmp_path / "p.csv").write_text("id,url\n1,https://h.example/1.jpg\n")
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda folder: (folder / "b.jpg").touch(), id="a new file"),
        pytest.param(lambda folder: (folder / "a.jpg").rename(folder / "c.jpg"), id="a renamed file"),
        pytest.param(
            lambda folder: (folder / "p.csv").write_text("id,url\n1,https://h.example/2\n"), id="a changed row"
        ),
        pytest.param(lambda folder: (folder / "p.csv").write_text("id,url\n"), id="a removed row"),
    ],
)
def test_the_fingerprint_changes_with_the_files_that_items_come_from(
    job: Job, portfolio: Path, change: Callable[[Path], object]
) -> None:
    before = fingerprint(job(*IMAGES))
    change(portfolio)
    assert fingerprint(job(*IMAGES)) != before


@pytest.mark.parametrize(
    "images",
    [
        pytest.param((*IMAGES, "{url: 'https://h.example/9.jpg'}"), id="one more"),
        pytest.param(IMAGES[:2], id="one less"),
        pytest.param((IMAGES[1], IMAGES[0], IMAGES[2]), id="another order"),
        pytest.param((*IMAGES[:2], "{url: 'https://h.example/0.jpg', id: x}"), id="an id"),
        pytest.param((*IMAGES[:2], "{url: 'https://h.example/0.jpg', labels: {a: b}}"), id="a label"),
        pytest.param((IMAGES[0], "{manifest: p.csv, columns: {labels: [id]}}", IMAGES[2]), id="a column"),
        pytest.param((IMAGES[0], "{manifest: p.csv, encoding: gb18030}", IMAGES[2]), id="an encoding"),
    ],
)
def test_the_fingerprint_changes_with_the_list_of_images(job: Job, portfolio: Path, images: tuple[str, ...]) -> None:
    assert fingerprint(job(*images)) != fingerprint(job(*IMAGES))


def test_the_fingerprint_changes_when_local_pictures_may_leave(job: Job, portfolio: Path) -> None:
    """An item that was refused because `public: true` was missing must be read again once it is there."""
    assert fingerprint(job(*IMAGES, more="")) != fingerprint(job(*IMAGES))


def test_the_fingerprint_stays_when_nothing_of_the_items_changes(job: Job, portfolio: Path) -> None:
    before = fingerprint(job(*IMAGES))
    (portfolio / "a.jpg").write_bytes(b"another picture")  # looked at when it is sent
    (portfolio / "other.txt").touch()
    (portfolio / "p.csv").touch()
    more = "upload: {public: true}\nsearch: {limit: 5}\napi: {qps: 9}\noutput: {hits: 0}"
    assert fingerprint(job(*IMAGES, more=more)) == before

"""The store of kept pictures: found again by link or product, and whole after a kill."""

from pathlib import Path

import pytest

from pipeline.results.pictures.store import FOLDER, PictureStore, key_of_link, key_of_product

COPIES = [(480, b"large"), (160, b"small")]


def test_a_picture_is_found_again_in_another_process(tmp_path: Path) -> None:
    PictureStore(tmp_path).put("k", b"data", COPIES)
    store = PictureStore(tmp_path)
    assert "k" in store
    assert (store.of("k", 480), store.of("k", 160), store.of("other", 160)) == (b"large", b"small", None)


def test_one_picture_behind_two_links_lies_there_once(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    store.put("a", b"data", COPIES)
    store.put("b", b"data", COPIES)
    assert len(list((tmp_path / FOLDER).rglob("*.webp"))) == 2
    assert store.of("b", 160) == b"small"


def test_a_link_is_one_picture_whatever_its_scheme_and_signature() -> None:
    links = [f"{start}/x/a.png{end}" for start in ("http://H.example", "https://h.example") for end in ("", "?s=1")]
    same = set(map(key_of_link, links))
    assert len(same) == 1
    assert key_of_link("https://h.example/x/b.png") not in same
    assert key_of_product("0" * 64) != key_of_product("1" * 64)


def test_a_line_that_a_kill_cut_short_takes_no_other_with_it(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    store.put("a", b"1", COPIES)
    with (tmp_path / FOLDER / "index.jsonl").open("ab") as index:
        index.write(b'{"key":"b","sha')
    store = PictureStore(tmp_path)
    assert len(store) == 1
    store.put("c", b"2", COPIES)
    assert {"a", "c"} == {key for key in "abc" if key in PictureStore(tmp_path)}


def test_a_picture_that_somebody_removed_is_none(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    store.put("a", b"1", COPIES)
    for file in (tmp_path / FOLDER).rglob("*.webp"):
        file.unlink()
    assert store.of("a", 160) is None


@pytest.mark.parametrize("link", ["", "no link", "https://[oops", "data:,x", "\udc80"])
def test_a_link_that_is_none_has_a_name_all_the_same(link: str) -> None:
    assert len(key_of_link(link)) == 32

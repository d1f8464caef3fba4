"""Pictures by URL: signed, expiring, never outside their folder."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.sandbox.pictures import LIFETIME_S, ExpiredPicture, PictureStore, UnknownPicture
from pipeline.sandbox.resources import resource
from tests.support.fixtures import Clock
from tests.support.sandbox_calls import NOON


def store(folder: Path, clock: Clock) -> PictureStore:
    return PictureStore(folder, gallery=resource("gallery"), products=resource("products"), clock=clock)


def test_an_upload_is_read_back_until_nine_hours_are_over(tmp_path: Path, clock: Clock, product: bytes) -> None:
    pictures = store(tmp_path, clock)
    url = pictures.save(product)
    clock.now = NOON + LIFETIME_S - 1
    assert pictures.read(url) == product
    clock.now = NOON + LIFETIME_S
    with pytest.raises(ExpiredPicture, match="older than nine hours"):
        pictures.read(url)


def test_a_url_outlives_the_sandbox_that_made_it(tmp_path: Path, clock: Clock, product: bytes) -> None:
    url = store(tmp_path, clock).save(product)
    assert store(tmp_path, clock).read(url) == product


def test_the_same_picture_is_kept_once_and_its_second_url_lives_longer(
    tmp_path: Path, clock: Clock, product: bytes
) -> None:
    pictures = store(tmp_path, clock)
    first = pictures.save(product)
    clock.now += LIFETIME_S
    second = pictures.save(product)
    assert pictures.read(second) == product
    assert pictures.local_file(first) == pictures.local_file(second)
    assert len(list((tmp_path / "uploads").iterdir())) == 1


def test_a_png_keeps_its_kind_in_the_url(tmp_path: Path, clock: Clock) -> None:
    drawing = (resource("gallery") / "bag-0-1.png").read_bytes()
    assert ".png?" in store(tmp_path, clock).save(drawing)


def test_what_is_no_picture_is_not_kept(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(UnknownPicture):
        store(tmp_path, clock).save(b"GIF89a")
    assert not list((tmp_path / "uploads").iterdir())


def test_product_urls_never_expire_and_take_any_query(tmp_path: Path, clock: Clock, product: bytes) -> None:
    clock.now += 10 * 365 * 86_400
    assert store(tmp_path, clock).read("https://sandbox.invalid/products/bag-0.jpg?n=17") == product


def test_a_signed_gallery_url_expires_and_a_plain_one_does_not(tmp_path: Path, clock: Clock) -> None:
    pictures = store(tmp_path, clock)
    url = pictures.gallery_url("bag-0-1.png", until=int(NOON) + 10)
    assert pictures.read(url) == pictures.read("https://sandbox.invalid/gallery/bag-0-1.png")
    clock.now += 10
    with pytest.raises(ExpiredPicture):
        pictures.check(url)


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"), id="signature"),
        pytest.param(lambda url: url.replace("exp=", "exp=9"), id="expiry"),
        pytest.param(lambda url: url.replace("exp=", "exp=x"), id="expiry no number"),
        pytest.param(lambda url: url.replace(".jpg", ".png"), id="name"),
        pytest.param(lambda url: url.split("?")[0], id="unsigned"),
        pytest.param(lambda url: url.split("&")[0], id="no signature"),
        pytest.param(lambda url: url.replace("sig=", "sig=\N{SNOWMAN}"), id="not ascii"),
    ],
)
def test_a_forged_url_is_unknown(forge, tmp_path: Path, clock: Clock, product: bytes) -> None:
    pictures = store(tmp_path, clock)
    url = forge(pictures.save(product))
    with pytest.raises(UnknownPicture):
        pictures.read(url)
    with pytest.raises(UnknownPicture):
        pictures.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example.com/1.jpg",
        "https://sandbox.invalid.example.com/products/bag-0.jpg",
        "https://someone@sandbox.invalid/products/bag-0.jpg",
        "http://127.0.0.1/products/bag-0.jpg",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_foreign_url_is_refused_with_the_reason(url: str, tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(UnknownPicture, match="fetches nothing"):
        store(tmp_path, clock).read(url)
    assert store(tmp_path, clock).local_file(url) is None


@pytest.mark.parametrize(
    "path",
    [
        "products/../truth.json",
        "products/%2e%2e/truth.json",
        "products/..%2ftruth.json",
        "products/.hidden",
        "products//etc/passwd",
        "products/bag-0.jpg/",
        "products/bag-0.jpg%00",
        "products/none.jpg",
        "gallery/..",
        "upload/signing.key",
        "upload/../signing.key",
        "else/bag-0.jpg",
        "products",
        "",
    ],
)
def test_nothing_outside_the_folders_is_reached(path: str, tmp_path: Path, clock: Clock) -> None:
    pictures = store(tmp_path, clock)
    with pytest.raises(UnknownPicture):
        pictures.read(f"https://sandbox.invalid/{path}")
    assert pictures.local_file(f"https://sandbox.invalid/{path}") is None


def test_a_local_file_is_found_even_when_its_url_has_expired(tmp_path: Path, clock: Clock, product: bytes) -> None:
    pictures = store(tmp_path, clock)
    url = pictures.save(product)
    clock.now += 2 * LIFETIME_S
    path = pictures.local_file(url)
    assert path is not None
    assert path.read_bytes() == product


def test_two_sandboxes_that_start_at_once_agree_on_one_key(tmp_path: Path, clock: Clock, product: bytes) -> None:
    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(lambda _: store(tmp_path, clock), range(8)))
    urls = {pictures.save(product) for pictures in stores}
    assert len(urls) == 1


def test_key_and_uploads_are_their_owners_alone(tmp_path: Path, clock: Clock, product: bytes) -> None:
    store(tmp_path, clock).save(product)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}

"""Pictures by URL: uploads, the shipped products and the gallery, all on a host that does not exist.

The URLs carry their end and a signature, so that a sandbox that is started again with the same folder still knows them,
on another port, too. Nothing is ever fetched.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

from pipeline.models import SANDBOX_HOST
from pipeline.sandbox.settings import SandboxSettings
from pipeline.system.drafts import SHARED_S, draft_of, sweep
from pipeline.system.files import private, write_whole

HOST = SANDBOX_HOST
LIFETIME_S = 32_400  # nine hours, as the vendor says

_PATH = re.compile(r"/(?P<kind>products|gallery|upload)/(?P<file>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})")
_UPLOAD = re.compile(r"(?P<sha>[0-9a-f]{64})\.(?:jpg|png)")
_EXPIRY = re.compile(r"[0-9]{1,12}")
_EXTENSIONS = {b"\xff\xd8\xff": "jpg", b"\x89PNG\r\n\x1a\n": "png"}


class UnknownPicture(Exception):
    """A URL that no picture of this sandbox has; the text says why."""


class ExpiredPicture(Exception):
    """A URL of this sandbox whose nine hours are over."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's file, and the digest of its content in hexadecimal. Two files of one content are one picture."""

    path: Path = field(compare=False)
    sha256: str


class _Place(NamedTuple):
    kind: Literal["products", "gallery", "upload"]
    file: str
    expiry: str | None
    signature: str | None


class PictureStore:
    """The pictures of one sandbox and their URLs.

    `clock` is the wall clock in seconds. The URL of a product may carry any query, so that a few shipped pictures can
    stand for many different URLs. With `stand_ins` every URL of another host stands for a product as well, always for
    the same one.
    """

    def __init__(
        self, folder: Path, *, gallery: Path, products: Path, clock: Callable[[], float], stand_ins: bool = False
    ) -> None:
        self._uploads = folder / "uploads"
        self._uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folders = {"products": products, "gallery": gallery}
        self._clock = clock
        sweep(self._uploads, ["[0-9a-f]{64}"], older_s=SHARED_S)
        sweep(folder, [r"signing\.key"], older_s=SHARED_S)
        self._key = _signing_key(folder / "signing.key")
        self._digest = lru_cache(maxsize=4096)(_digest)
        self._stand_ins = _pictures_in(products) if stand_ins else ()
        # A create names the pictures of 100 hits: checking each signature again took four fifths of its time.
        self._verified = lru_cache(maxsize=16_384)(self._verify)
        self._gallery_link = lru_cache(maxsize=4096)(self._link_to_gallery)

    def save(self, data: bytes) -> str:
        """Keep a JPG or PNG and return its URL, which works for nine hours. Raises UnknownPicture for other data."""
        extension = detect_type(data)
        if extension is None:
            raise UnknownPicture("neither JPG nor PNG")
        digest = hashlib.sha256(data).hexdigest()
        target = self._uploads / digest
        if not target.exists():
            write_whole(target, data, durable=False, several_writers=True)
        return self._signed(f"/upload/{digest}.{extension}", int(self._clock()) + LIFETIME_S)

    def find(self, url: str) -> Picture:
        """Return the picture that has a URL. Raises UnknownPicture or ExpiredPicture when there is none."""
        place = self._checked(self._stand_in(url))
        path = self._path(place)
        if path is None:
            raise UnknownPicture("no such picture")
        if place.kind == "upload":
            return Picture(path, path.name)
        return Picture(path, self._digest(path))

    def read(self, url: str) -> bytes:
        """Return the bytes of the picture that has a URL. Raises as `find` does."""
        return self.find(url).path.read_bytes()

    def local_file(self, url: str) -> Path | None:
        """Return the file of a picture, also when its URL has expired; None when the URL is not of this sandbox."""
        try:
            return self._path(_place(self._stand_in(url)))
        except UnknownPicture:
            return None

    def check(self, url: str) -> None:
        """Raise as `find` does when a URL on this host is forged or expired. URLs of other hosts pass."""
        if _is_ours(url):
            self._checked(url)

    def gallery_url(self, file: str, *, until: int, scheme: str = "https") -> str:
        """Return the URL of a gallery picture that works until `until`, in seconds since the epoch."""
        return scheme + self._gallery_link(file, until)

    def _link_to_gallery(self, file: str, until: int) -> str:
        return self._signed(f"/gallery/{file}", until).removeprefix("https")

    def _stand_in(self, url: str) -> str:
        """Return the URL of the product that stands for a foreign URL; any other URL as it is."""
        if not self._stand_ins or _is_ours(url):
            return url
        number = int.from_bytes(hashlib.sha256(url.encode("utf-8", "surrogateescape")).digest()[:8], "big")
        return f"https://{HOST}/products/{self._stand_ins[number % len(self._stand_ins)]}"

    def _checked(self, url: str) -> _Place:
        place, expiry = self._verified(url)
        if expiry is not None and self._clock() >= expiry:
            raise ExpiredPicture("the picture's URL is older than nine hours")
        return place

    def _verify(self, url: str) -> tuple[_Place, int | None]:
        """Check the signature of a URL; return the picture it names, and its end (None when it has none).

        The end is not compared with the clock here: the result is kept, and a URL expires later.
        """
        place = _place(url)
        if place.kind == "products" or (place.kind == "gallery" and place.signature is None):
            return place, None
        if place.expiry is None or place.signature is None:
            raise UnknownPicture("the picture's URL is not signed")
        expected = self._sign(f"/{place.kind}/{place.file}", int(place.expiry))
        if not hmac.compare_digest(expected.encode(), place.signature.encode()):
            raise UnknownPicture("the signature of the picture's URL is wrong")
        return place, int(place.expiry)

    def _path(self, place: _Place) -> Path | None:
        if place.kind == "upload":
            match = _UPLOAD.fullmatch(place.file)
            path = self._uploads / match["sha"] if match else None
        else:
            path = self._folders[place.kind] / place.file
        return path if path is not None and path.is_file() else None

    def _signed(self, path: str, expiry: int) -> str:
        return f"https://{HOST}{path}?exp={expiry}&sig={self._sign(path, expiry)}"

    def _sign(self, path: str, expiry: int) -> str:
        return hmac.new(self._key, f"{path}?{expiry}".encode(), hashlib.sha256).hexdigest()[:32]


def open_pictures(settings: SandboxSettings) -> PictureStore:
    """Open the pictures of the sandbox that has these settings."""
    return PictureStore(
        settings.folder,
        gallery=settings.gallery,
        products=settings.products,
        clock=settings.clock,
        stand_ins=settings.stand_ins,
    )


def detect_type(data: bytes) -> str | None:
    """Return `jpg` or `png` by the first bytes; None for anything else."""
    return next((extension for magic, extension in _EXTENSIONS.items() if data.startswith(magic)), None)


def _is_ours(url: str) -> bool:
    return url.startswith((f"https://{HOST}/", f"http://{HOST}/"))


def _place(url: str) -> _Place:
    if not _is_ours(url):
        raise UnknownPicture(f"the sandbox fetches nothing; it knows pictures on https://{HOST}/ and uploaded ones")
    # The pattern lets no path out of its folder: it allows no slash, no dot at the start and no escape.
    parts = urlsplit(url)
    match = _PATH.fullmatch(parts.path)
    if match is None:
        raise UnknownPicture("no such picture")
    query = parse_qs(parts.query, keep_blank_values=True) if parts.query else {}
    expiry, signature = query.get("exp", [None])[0], query.get("sig", [None])[0]
    if expiry is not None and not _EXPIRY.fullmatch(expiry):
        raise UnknownPicture("the expiry of the picture's URL is not a number")
    return _Place(match["kind"], match["file"], expiry, signature)  # type: ignore[arg-type]


def _pictures_in(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png")))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _signing_key(path: Path) -> bytes:
    """Read the folder's key; make one that only its owner can read when there is none."""
    if not path.exists():
        draft = draft_of(path, several_writers=True)
        with open(private(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w") as file:
            file.write(secrets.token_hex(32))
        try:
            os.link(draft, path)  # unlike a rename, it fails when another sandbox has made its key meanwhile
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()

"""A made-up run of any size, as the page's tests and its benchmark need it: labels, owners, open items, pictures."""

import json
import random
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.results.page.page import Written, write_report
from pipeline.results.page.thumbs import Thumbnail, thumbnails
from pipeline.results.page.view import RunView
from pipeline.results.survey import Part, survey
from pipeline.sandbox.resources import resource
from tests.support.report_records import run

CLIENTS = (
    "Nordlys",
    "Acme GmbH",
    "深圳优品",
    "Atelier Brun",
    "Kitayama",
    "Lumivara",
    "Solano",
    "青岛海澜",
    "Harbour & Co",
)
MARKETS = ("US", "EU", "CN", "JP", "KR")
OWNERS = (
    "Lumivara Design Inc",
    "Halden & Sons Ltd",
    "Sorvik AB",
    "深圳市优品科技有限公司",
    "Kitayama Kogyo KK",
    "Minjoo Living Co",
)
DRAWINGS = 5_000
OPEN_EVERY = 30
_HITS = 100
_ERRORS = (
    (
        "failed",
        "search",
        "68300010",
        "the vendor does not accept this picture file",
        "list another picture for it in line 3 of p.csv (the id may stay), then `pipeline run` the job file",
    ),
    (
        "in_doubt",
        "create",
        "timeout",
        "no answer came to the create",
        "ask the vendor whether its task exists, then `pipeline resolve runs/autumn --created {item} TASK`",
    ),
    (
        "failed",
        "read",
        "picture",
        "photos/IMG.jpg cannot be read: no such file",
        "mend or replace it (listed in line 3 of p.csv), then `pipeline run` the job file",
    ),
)


class DrawnPictures:
    """Small pictures of the sandbox's products and of some of its drawings, each made different by a few bytes."""

    def __init__(self) -> None:
        self._products, self._drawings = (_thumbnails(name) for name in ("products", "gallery"))

    def of(self, source: str, sha256: str | None = None) -> Thumbnail | None:
        """Return the picture of `photos/IMG_7.jpg`, or of `https://pictures.example/7.png`."""
        number = int("".join(char for char in source if char.isdecimal()) or 0)
        made = self._products if source.startswith("photos/") else self._drawings
        small, large = made[number % len(made)]
        return Thumbnail(_marked(small, number), _marked(large or small, number))


@lru_cache(maxsize=2)
def _thumbnails(folder: str) -> tuple[Thumbnail, ...]:
    files = sorted(path for path in resource(folder).iterdir() if path.suffix in (".png", ".jpg"))
    made = (thumbnails(path.read_bytes()) for path in files[:: len(files) // 50 or 1])
    return tuple(one for one in made if one is not None)


def _marked(webp: bytes, number: int) -> bytes:
    """Add a chunk that decoders pass over."""
    body = webp[8:] + b"mark" + struct.pack("<I", 4) + struct.pack("<I", number)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def records(products: int) -> Iterator[dict[str, Any]]:
    """Make the records of a run: the first are not the most similar ones, one in thirty is open."""
    dice = random.Random(7)
    rest = [_hit(dice, 0.3, number) for number in range(_HITS)]
    for number in range(products):
        yield _record(dice, number, rest)


def _record(dice: random.Random, number: int, rest: list[dict[str, Any]]) -> dict[str, Any]:
    item = f"SKU-{10_000 + number}"
    labels = {"client": CLIENTS[number % len(CLIENTS)], "market": dice.choice(MARKETS)}
    image = {"source": f"photos/IMG_{number}.jpg", "sha256": f"{number:064x}", "labels": labels}
    whole = {"schema": 1, "job": "autumn-portfolio", "item": item, "image": image, "vendor": "sandbox"}
    if number % OPEN_EVERY == OPEN_EVERY - 1:
        status, stage, code, message, todo = _ERRORS[number // OPEN_EVERY % len(_ERRORS)]
        error = {"stage": stage, "code": code, "message": message, "request_id": f"r-{number}", "correlation_id": None}
        return {**whole, "status": status, "search": None, "task": None, "error": error, "todo": todo.format(item=item)}
    best = min(0.9999, max(0.31, dice.gauss(0.78, 0.11)))
    scores = sorted((max(0.3, best - dice.expovariate(14)) for _ in range(4)), reverse=True)
    hits = [_hit(dice, score, dice.randrange(DRAWINGS)) for score in (best, *scores)]
    search = {"endpoint": "P009", "params": {"limit": 100}, "total": dice.randrange(100, 20_000), "hits": _HITS}
    task = {"task_id": f"80d4-{number:08}", "hits": _HITS, "hits_dropped": 0, "expires_at": "2026-11-21T18:00:00.000Z"}
    return {
        **whole,
        "status": "tasked",
        "search": {**search, "truncated": True, "at": "2026-11-21T10:00:00.000Z"},
        "task": task,
        "details": {hit["patent_id"]: _detail(dice, hit) for hit in hits},
        "hits": [*hits, *rest[len(hits) :]],
    }


def _hit(dice: random.Random, score: float, drawing: int) -> dict[str, Any]:
    country = dice.choice(MARKETS)
    return {
        "url": f"https://pictures.example/{drawing}.png",
        "score": round(score, 4),
        "title": "Tote bag",
        "patent_id": f"{dice.getrandbits(64):016x}",
        "patent_pn": f"{country}{dice.randrange(10**8, 10**9)}S",
    }


def _detail(dice: random.Random, hit: dict[str, Any]) -> dict[str, Any]:
    year = dice.randrange(2004, 2025)
    return {
        "as_of": "2026-11-21T10:00:00.000Z",
        "owner": dice.choice(OWNERS),
        "status": dice.choice(("active", "active", "active", "inactive", "pending")),
        "country": hit["patent_pn"][:2],
        "application_date": f"{year}-03-02",
        "publication_date": f"{year + 1}-01-09",
        "loc": ["03-01"],
    }


def written(folder: Path, products: int, **changes: Any) -> Written:
    """Write the page of a made-up run into a folder."""
    make_records(folder, products)
    return write(folder, **changes)


def make_records(folder: Path, products: int) -> None:
    """Write results.jsonl and open.jsonl of a made-up run."""
    with (folder / "results.jsonl").open("wb") as settled, (folder / "open.jsonl").open("wb") as open_:
        for one in records(products):
            file = open_ if "error" in one else settled
            file.write(json.dumps(one, ensure_ascii=False).encode() + b"\n")


def write(folder: Path, **changes: Any) -> Written:
    """Write the page of the records in a folder."""
    settled, open_ = survey(Part(folder / "results.jsonl")), survey(Part(folder / "open.jsonl"))
    counts = {**settled.statuses, **open_.statuses}
    view: RunView = run(
        **{
            "counts": counts,
            "vendor": "sandbox",
            "run": "autumn",
            "folder": "runs/autumn",
            "job_file": "autumn.yaml",
            **changes,
        }
    )
    return write_report(folder / "report.html", view, open_, settled, pictures=DrawnPictures())

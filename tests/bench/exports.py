"""`make exports`: what an export of thousands of products takes in time and memory, by format.

Each product has 20 hits. 3,000 different pictures of products and 5,000 of designs are at hand as they are kept beside
a run: WebP of at most 160 pixels.
"""

import argparse
import io
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from pipeline.results.exports.export import CELL, NO_PICTURES, About, Export
from pipeline.results.exports.formats import FORMATS, writer_of
from pipeline.results.exports.selection import Wanted, select
from pipeline.results.survey import Part
from tests.bench.contenders import peak_rss_mb

HITS = 20
PRODUCTS, DESIGNS = 3_000, 5_000  # different pictures
MANY = 10_000
CASES = (
    ("xlsx", MANY, CELL),
    ("xlsx", MANY, NO_PICTURES),
    ("xlsx", 10 * MANY, NO_PICTURES),
    ("pdf", 500, CELL),
    *((to, count, NO_PICTURES) for to in ("csv", "parquet", "jsonl") for count in (MANY, 10 * MANY)),
)
BARS = {"xlsx": (10.0, 150.0)}  # seconds and MB, of the first case


def measure(to: str, products: int, pictures: str) -> dict[str, Any]:
    """Write an export in a process of its own; return seconds, peak RSS in MB, and the size of the file in MB."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.jsonl"
        write_records(results, products)
        command = [sys.executable, "-m", "tests.bench.exports", "--run", to, folder, pictures]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    if not done.stdout:
        raise SystemExit(done.stderr)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def write_records(path: Path, products: int) -> None:
    """Write records with hits that are drawn by a seed."""
    rng = random.Random(1)
    at, later = "2026-11-21T10:00:00.000Z", "2026-11-21T18:00:00.000Z"
    with path.open("w") as file:
        for number in range(products):
            hits = [
                {
                    "url": f"https://cdn.example/{rng.randrange(DESIGNS)}.png",
                    "score": round(rng.random(), 4),
                    "title": "Desk lamp with a round foot",
                    "patent_id": f"p-{number}-{place}",
                    "patent_pn": f"CN30{number:06}{place}S",
                }
                for place in range(HITS)
            ]
            record = {
                "schema": 1,
                "item": f"SKU-{number:06}",
                "status": "tasked",
                "vendor": "connect.patsnap.com",
                "image": {
                    "source": f"photos/{number % PRODUCTS}.jpg",
                    "labels": {"client": f"client-{number % 7}", "market": "EU"},
                },
                "search": {"endpoint": "P009", "total": 20_783, "hits": HITS, "truncated": True, "at": at},
                "task": {"task_id": f"task-{number}", "hits": HITS, "at": at, "expires_at": later},
                "hits": hits,
            }
            file.write(json.dumps(record) + "\n")


def drawing(seed: str) -> bytes:
    """Draw a picture as it is kept."""
    rng = random.Random(seed)
    image = Image.new("RGB", (160, 160), "white")
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        pen.line([rng.randrange(160) for _ in range(4)], fill=(rng.randrange(255),) * 3, width=rng.randrange(1, 4))
    data = io.BytesIO()
    image.save(data, "WEBP", quality=40)
    return data.getvalue()


def run(to: str, folder: Path, pictures: str) -> None:
    """Write one export, and print what it took."""
    kept: dict[str, bytes] = {}
    if pictures == CELL:
        names = [f"photos/{n}.jpg" for n in range(PRODUCTS)] + [f"https://cdn.example/{n}.png" for n in range(DESIGNS)]
        kept = {name: drawing(name) for name in names}
    write = writer_of(to)
    began, used, written_s = time.monotonic(), time.process_time(), time.thread_time()
    selection = select(Wanted(), [Part(folder / "results.jsonl")], [Part(folder / "open.jsonl")])
    about = About(
        title="autumn",
        vendor="connect.patsnap.com",
        tool="",
        state="the run had come to its end",
        as_of="2026-11-21T18:00:00.000Z",
        unfinished=0,
        not_looked_at=[],
    )
    export = Export(
        selection=selection, decided={}, about=about, picture=lambda source, _: kept.get(source), pictures=pictures
    )
    with (folder / "export").open("w+b") as file:
        written = write(file, export)
    told = {
        "products": written.products,
        "hits": written.hits,
        "s": time.monotonic() - began,
        "cpu_s": time.process_time() - used,
        "writer_s": time.thread_time() - written_s,
        "rss_mb": peak_rss_mb(),
        "kept_mb": sum(map(len, kept.values())) / 1e6,
        "file_mb": (folder / "export").stat().st_size / 1e6,
    }
    print(json.dumps(told))


def told_of(case: tuple[str, int, str]) -> str:
    """Measure a case, and say in a line what it took."""
    to, products, pictures = case
    told = measure(*case)
    seconds, most = BARS.get(to, (0.0, 0.0)) if case == CASES[0] else (0.0, 0.0)
    within = f" (at most {seconds:.0f} s and {most:.0f} MB)" if seconds else ""
    each = 6 if to == "pdf" else 2
    drawn = f", {each * products:,} pictures" if pictures == CELL else ""
    hits = f" and {told['hits']:,} hits" if FORMATS[to].both else ""
    took = (
        f"{told['s']:.1f} s, {told['cpu_s']:.1f} s of processor time ({told['writer_s']:.1f} in the thread that writes)"
    )
    memory = f"peak RSS {told['rss_mb']:.0f} MB, file {told['file_mb']:.1f} MB"
    return f"{to:8} {told['products']:7,} products{hits}{drawn}: {took}, {memory}{within}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", nargs=3)
    given = parser.parse_args()
    if given.run:
        to, folder, pictures = given.run
        return run(to, Path(folder), pictures)
    for case in CASES:
        print(told_of(case), flush=True)
    return None


if __name__ == "__main__":
    main()

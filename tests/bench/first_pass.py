"""The first pass of a cluster run over local pictures, and what it saves a worker: `python -m tests.bench.first_pass`.

The photos are drawn once and stored turned, as a phone's are; each file has other bytes behind its end.
"""

import argparse
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from pipeline.cluster import first_pass
from pipeline.cluster.first_pass import Prepared, prepare
from pipeline.cluster.prepared import Part, ahead_of
from pipeline.job.schema import JobSpec
from pipeline.run.load import load_spec
from pipeline.sources.check import fingerprint
from pipeline.sources.looks import readers

_TURNED = 6


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--pictures", type=int, default=2_000)
    asked.add_argument("--side", type=int, default=1_500, help="pixels of the longer side")
    asked.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    told = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="first-pass-") as place:
        os.environ["XDG_CACHE_HOME"] = f"{place}/cache"
        first_pass._OF_A_PART = max(1, told.pictures // 20)
        size = _draw(Path(place), told.pictures, told.side)
        print(
            f"{told.pictures:,} photos of {told.side:,} pixels, {size / 1e6:.2f} MB each, load {os.getloadavg()[0]:.1f}"
        )
        for what, same, fit in (("bytes", "bytes", False), ("pixels", "pixels", False), ("bytes, fit", "bytes", True)):
            for number in told.processes:
                spec = _job(Path(place), f"{what}-{number}", same, fit=fit)
                took, busy = _pass(spec, number)
                each = busy / told.pictures * 1e3
                print(f"  {what}, {number} processes: {took:.1f} s, {each:.1f} ms of a core a picture", flush=True)
        _saved(spec, min(told.pictures, 50))


def _draw(place: Path, pictures: int, side: int) -> int:
    (place / "photos").mkdir()
    (place / "shared").mkdir(mode=0o700)
    size = side, side * 3 // 4
    soft = Image.effect_noise((side // 40, side // 53), 120).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = _TURNED
    photo = Image.blend(soft, Image.effect_noise(size, 16).convert("RGB"), 0.25)
    photo.save(place / "photo.jpg", quality=90, exif=exif)
    data = (place / "photo.jpg").read_bytes()
    for number in range(pictures):
        (place / "photos" / f"{number:06}.jpg").write_bytes(data + random.Random(number).randbytes(8))
    return len(data)


def _job(place: Path, name: str, same: str, *, fit: bool) -> JobSpec:
    file = place / "job.yaml"
    name = "".join(char for char in name if char.isalnum())
    file.write_text(
        f"version: 1\nname: {name}\nimages: [{{path: photos/*.jpg}}]\n"
        f"upload: {{public: true, fit: {str(fit).lower()}}}\n"
        f"cluster: {{shared: shared, same_picture: {same}}}\napi: {{base_url: sandbox}}\n"
    )
    return load_spec(file)


def _pass(spec: JobSpec, processes: int) -> tuple[float, float]:
    """Return how long a pass takes, and the processor time of its processes."""

    def spread(function: Callable[[Part], Prepared], parts: Iterable[Part]) -> Iterator[Prepared]:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            yield from pool.map(function, parts)

    begun, busy = time.monotonic(), _of_children()
    prepare(spec, spec.root_path / "shared", spread=spread, ahead=True)
    return time.monotonic() - begun, _of_children() - busy


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _saved(spec: JobSpec, pictures: int) -> None:
    """Print the processor time of a worker for reading a picture to be uploaded, as it is and made fit."""
    names = [f"photos/{number:06}.jpg" for number in range(pictures)]
    ahead = ahead_of(spec.root_path / "shared", spec.name, fingerprint(spec))
    ways = {"sent as it is": {"fit": False}, "made fit": {"fit": True}, "made fit ahead": {"fit": True, "ahead": ahead}}
    for what, how in ways.items():
        read, _ = readers(spec.root_path, **how)  # type: ignore[arg-type]
        took = _processor_time(partial(list, map(read, names))) / pictures
        print(
            f"  a worker, {what}: {took * 1e3:.1f} ms of a core a picture, {took * 50:.1f} cores at 50 calls a second"
        )


def _processor_time(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    main()

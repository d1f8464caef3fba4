"""What the page costs: `python -m tests.bench.looks [PRODUCTS ...]`, by default 36, 1,000 and 10,000 of them.

Made-up products, each with five hits beside it and a hundred in its record; Chromium without a screen opens the page
from the disk. Times are of this machine, sizes, elements and printed pages are the same everywhere.
"""

import asyncio
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.browser import Tab, browser
from tests.support.portfolio import make_records, write

SIZES = (36, 1_000, 10_000)
PRINTED = 36  # products; more are printed by nobody
_FRAMES = 120
_STEP_PX = 300

# A page's script keeps its names to itself: what is measured is what a person does.
_SCROLL = """(async () => {
  const frames = [];
  const next = () => new Promise((done) => requestAnimationFrame(done));
  window.scrollTo(0, document.querySelector("#list").offsetTop);
  await next(); await next();
  let last = performance.now();
  for (let frame = 0; frame < %d; frame += 1) {
    window.scrollBy(0, %s);
    await next();
    const now = performance.now();
    frames.push(now - last);
    last = now;
  }
  return frames;
})()"""
_FILTER = """(async () => {
  const box = document.querySelector("#search");
  const times = [];
  for (const text of ["n", "nordlys", "nordlys us", "sku-1", ""]) {
    const before = performance.now();
    box.value = text;
    box.dispatchEvent(new Event("input"));
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    times.push(performance.now() - before);
  }
  return times;
})()"""


class Looks(NamedTuple):
    """The figures of one page."""

    products: int
    page_kb: float
    beside_mb: float
    write_s: float  # CPU
    write_mb: float  # of memory, the most
    load_s: float  # until the rows are shown
    elements: int
    filter_ms: float  # the slowest of five
    read_ms: float  # the median of a frame, scrolled by 300 pixels
    fling_ms: float  # the median of a frame, scrolled over the whole list
    phone_px: float  # where the first product begins, 390 x 844
    pages: int  # printed, A4; 0 where it was not printed
    console: int  # lines of errors


async def look(folder: Path, products: int) -> Looks:
    """Write a page, open it, and measure."""
    size, beside, seconds, memory = _written(folder, products)
    page = folder / "report.html"
    async with browser(folder / "browser") as tab:
        await tab.size(1280, 900)
        load = await _loaded(tab, page)
        elements = await tab.run("document.getElementsByTagName('*').length")
        filtered = await tab.run(_FILTER)
        read = await tab.run(_SCROLL % (_FRAMES, _STEP_PX))
        whole = "document.querySelector('#list').offsetHeight * (frame * 0.618 % 1) - window.scrollY"
        fling = await tab.run(_SCROLL % (_FRAMES, whole))
        elements = max(elements, await tab.run("document.getElementsByTagName('*').length"))
        pages = 0
        if products <= PRINTED:
            pages = len(re.findall(rb"/Type\s*/Page\b", await tab.pdf()))
        await tab.size(390, 844, scale=2, mobile=True)
        await tab.open(page)
        phone = await tab.run("document.querySelector('.row').getBoundingClientRect().top + window.scrollY")
        console = len(tab.console)
    return Looks(
        products=products,
        page_kb=size / 1000,
        beside_mb=beside / 1e6,
        write_s=seconds,
        write_mb=memory,
        load_s=load,
        elements=elements,
        filter_ms=max(filtered),
        read_ms=statistics.median(read),
        fling_ms=statistics.median(fling),
        phone_px=phone,
        pages=pages,
        console=console,
    )


async def _loaded(tab: Tab, page: Path) -> float:
    await tab.open(page)  # once, so that what is measured is not the disk
    await tab.call("Page.navigate", url="about:blank")
    before = time.monotonic()
    await tab.open(page)
    await tab.until("document.querySelector('.row img') !== null")
    return time.monotonic() - before


def _written(folder: Path, products: int) -> tuple[int, int, float, float]:
    """Write the page in a process of its own; return its bytes, those beside it, seconds of CPU, and MB of memory."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.looks", "--write", str(folder), str(products)],
        capture_output=True,
        text=True,
        check=True,
    )
    size, beside, seconds, memory = done.stdout.split()
    return int(size), int(beside), float(seconds), float(memory)


def _write(folder: Path, products: int) -> None:
    make_records(folder, products)
    write(folder)  # once, so that the pictures are drawn
    before = time.process_time()
    made = write(folder)
    seconds = time.process_time() - before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(made.size, made.beside, f"{seconds:.2f}", f"{memory:.0f}")


def main(arguments: list[str]) -> None:
    """Measure pages and print a table."""
    if arguments[:1] == ["--write"]:
        _write(Path(arguments[1]), int(arguments[2]))
        return
    columns = ("products", "page", "beside it", "written in", "memory", "shown", "elements", "filter", "read", "fling")
    print(f"| {' | '.join((*columns, 'phone', 'A4'))} |\n|{'---|' * (len(columns) + 2)}")
    for products in map(int, arguments or map(str, SIZES)):
        with tempfile.TemporaryDirectory() as folder:
            one = asyncio.run(look(Path(folder), products))
        assert not one.console, "the console told of errors"
        print(
            f"| {one.products:,} | {one.page_kb:,.0f} KB | {one.beside_mb:,.1f} MB | {one.write_s:.1f} s | "
            f"{one.write_mb:.0f} MB | {one.load_s:.2f} s | {one.elements:,} | {one.filter_ms:.0f} ms | "
            f"{one.read_ms:.0f} ms | {one.fling_ms:.0f} ms | {one.phone_px:.0f} px | {one.pages or '-'} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])

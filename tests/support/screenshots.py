"""The pictures of the documents, made from the demo, the tutorial's list and two made-up months: `make screenshots`.

They show drawn designs alone, and are made small by a palette.
"""

import asyncio
import contextlib
import tempfile
from pathlib import Path

from PIL import Image

from pipeline.cli.main import run
from tests.support.browser import Tab, browser
from tests.support.documents import ROOT
from tests.support.months import NOVEMBER, dismissals, two_months
from tests.support.tutorial import begin

PICTURES = ROOT / "docs" / "pictures"
WINDOW = (1280, 900)
PHONE = (390, 780)
PRODUCTS = 400  # of the made-up months
COLOURS = 128  # of the palette; more make no difference that one sees


def pages(folder: Path) -> tuple[Path, Path]:
    """Run the demo and the tutorial's rehearsal in a folder; return their pages."""
    begin(folder)
    with contextlib.chdir(folder):
        for words in (["demo", "-q"], ["init", "products.xlsx"], ["run", "job.yaml", "--rehearse", "-q"]):
            assert run(words) == 0, words
    [rehearsal] = (folder / "runs").glob("products-*-rehearsal")
    return folder / "runs" / "demo" / "report.html", rehearsal / "report.html"


async def take(demo: Path, tutorial: Path, tab: Tab) -> None:
    """Take all pictures of the two pages."""
    await tab.size(*WINDOW)
    await _picture(tab, demo, ROOT / "docs" / "report.png")
    await _picture(tab, tutorial, PICTURES / "page.png")
    await tab.click(".row .product")
    await tab.until("document.querySelector('#opened').open")
    await tab.press("1")
    await _shot(tab, PICTURES / "opened.png")
    await tab.size(*PHONE, scale=2, mobile=True)
    await _picture(tab, tutorial, PICTURES / "phone.png")
    await tab.size(*WINDOW)
    await tab.dark()
    assert run(["report", str(tutorial.parent), "--lang", "zh"]) == 0
    await _picture(tab, tutorial, PICTURES / "chinese.png")
    assert tab.console == []


async def take_month(folder: Path, tab: Tab) -> None:
    """Take a picture of what is new in a second month, some of it dismissed in the first one."""
    await tab.size(1280, 720)
    await tab.dark(dark=False)
    two_months(folder, PRODUCTS, dismissals(PRODUCTS))
    await tab.open(folder / NOVEMBER / "report.html", "#mark=new&min=0.9")
    await tab.run("window.scrollTo(0, document.querySelector('#since').offsetTop - 12)")
    await tab.until("[...document.querySelectorAll('.row img')].every((one) => one.complete)")
    await _shot(tab, PICTURES / "month.png")


async def _picture(tab: Tab, page: Path, file: Path) -> None:
    await tab.open(page)
    await tab.until("[...document.querySelectorAll('.row img')].every((one) => one.complete)")
    await _shot(tab, file)


async def _shot(tab: Tab, file: Path) -> None:
    await tab.run("Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null))).then(() => true)")
    await tab.picture(file)
    with Image.open(file) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


async def look(folder: Path, made: tuple[Path, Path]) -> None:
    """Start a browser, and take the pictures in it."""
    async with browser(folder / "browser") as tab:
        await take(*made, tab)
        await take_month(folder / "months", tab)


def main() -> None:
    """Make the pictures anew."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
        asyncio.run(look(Path(folder), pages(Path(folder))))


if __name__ == "__main__":
    main()

"""The page in a real browser, opened from the disk: what a person sees and does, and that nothing on it runs."""

import asyncio
import re
from pathlib import Path

import pytest

from pipeline.results.decisions import read_decisions
from tests.support.browser import BROWSER, Tab, look
from tests.support.lengths import THOROUGH
from tests.support.portfolio import written
from tests.support.report_records import hit, page, record, run

pytestmark = [
    pytest.mark.proofs,
    pytest.mark.skipif(BROWSER is None, reason="no browser to look with: .ci/run installs chromium"),
]

IDS = "[...document.querySelectorAll('.row h3')].map((one) => one.textContent)"
HASH = "window.location.hash"
SHOWN = "document.querySelector('#shown').textContent"
CHANGE = """(() => {
  const one = document.querySelectorAll('%s')[%d];
  one.value = '%s';
  one.dispatchEvent(new Event('change'));
})()"""
TILE = "document.querySelectorAll('.tile')[{}].click()"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    written(folder, 60)
    return folder / "report.html"


def test_it_opens_from_the_disk_without_an_error_and_shows_the_most_similar_first(small: Path, tmp_path: Path) -> None:
    async def steps(tab: Tab) -> None:
        await tab.open(small)
        scores = await tab.run("[...document.querySelectorAll('.row .hit:first-child b')].map((b) => b.textContent)")
        assert len(scores) > 3
        assert scores == sorted(scores, reverse=True)
        assert await tab.run("[...document.querySelectorAll('.row img')].every((one) => one.naturalWidth > 0)")
        assert await tab.run("document.getElementsByTagName('*').length") < 1_500
        controls = "[...document.querySelectorAll('button, select, input')]"
        named = "one.textContent.trim() || one.ariaLabel || one.title || one.closest('label')"
        assert await tab.run(f"{controls}.filter((one) => !({named})).length") == 0

    look(tmp_path, steps)


def test_filters_count_are_kept_in_the_address_and_are_taken_from_it(small: Path, tmp_path: Path) -> None:
    async def steps(tab: Tab) -> None:
        await tab.open(small)
        await tab.press("/")
        await tab.call("Input.insertText", text="nordlys")
        await tab.until(f"{SHOWN}.startsWith('7 of')")
        assert await tab.run(HASH) == "#q=nordlys"
        await tab.run("document.activeElement.blur()")
        await tab.run("document.querySelector('[data-facet=status]').click()")
        offered = await tab.run("[...document.querySelectorAll('#facet .choice')].map((one) => one.innerText)")
        assert offered == ["Task created\n7"]
        await tab.open(small, "#q=nordlys&sort=id&label.client=Nordlys&min=0.7")
        ids = await tab.run(IDS)
        assert ids == sorted(ids)
        assert len(ids) >= 1
        assert await tab.run("document.querySelector('#search').value") == "nordlys"
        await tab.run("document.querySelector('.reset').click()")
        assert await tab.run(SHOWN) == "60 of 60 products"
        assert await tab.run(HASH) == "#sort=id"

    look(tmp_path, steps)


def test_the_numbers_the_histogram_and_the_table_are_filters(small: Path, tmp_path: Path) -> None:
    async def steps(tab: Tab) -> None:
        await tab.open(small)
        for place in (1, 2, 3, 4):
            await tab.run(TILE.format(place))
            number = await tab.run(f"document.querySelectorAll('.tile b')[{place}].textContent")
            assert await tab.run(SHOWN) == f"{number} of 60 products"
        assert await tab.run("document.querySelector('#causes-open').open")
        await tab.run(TILE.format(0))
        bins = await tab.run("[...document.querySelectorAll('.bin')].map((one) => one.ariaLabel)")
        above = sum(int(label.split()[0]) for label in bins[16:])
        await tab.run("document.querySelectorAll('.bin')[16].click()")
        assert (await tab.run(SHOWN), await tab.run(HASH)) == (f"{above} of 60 products", "#min=0.8")
        cell = "document.querySelector('#matrix td button:not(:disabled)')"
        number = await tab.run(f"{cell}.textContent")
        await tab.run(f"{cell}.click()")
        assert await tab.run(SHOWN) == f"{number} of 60 products"
        assert "min=0.9" in await tab.run(HASH)

    look(tmp_path, steps)


def test_a_row_opens_beside_its_hits_and_keys_go_on(small: Path, tmp_path: Path) -> None:
    async def steps(tab: Tab) -> None:
        await tab.open(small)
        first, second = (await tab.run(IDS))[:2]
        await tab.run("document.querySelectorAll('.row')[0].querySelectorAll('.hit')[1].click()")
        await tab.until("document.querySelector('#opened').open")
        name = "document.querySelector('#opened h2').textContent"
        chosen = "[...document.querySelectorAll('.thumb')].findIndex((one) => one.ariaPressed === 'true')"
        assert (await tab.run(name), await tab.run(chosen)) == (first, 1)
        large = "Math.max(...[...document.querySelectorAll('.large img')].map((one) => one.naturalWidth))"
        await tab.until(f"{large} > 160")  # the large pictures lie beside the page
        await tab.press("ArrowRight")
        assert await tab.run(chosen) == 2
        assert "item=" + first in await tab.run(HASH)
        await tab.press("j")
        assert await tab.run(name) == second
        await tab.press("k")
        assert await tab.run(name) == first
        await tab.press("Escape")
        await tab.until(f"!document.querySelector('#opened').open && !{HASH}.includes('item=')")
        await tab.open(small, f"#item={second}&hit=3")
        await tab.until("document.querySelector('#opened').open")
        assert (await tab.run(name), await tab.run(chosen)) == (second, 3)

    look(tmp_path, steps)


def test_decisions_are_made_kept_saved_and_read_back(tmp_path: Path) -> None:
    evil = "=HYPERLINK(1)"
    records = [record("A", hits=[hit(0.95), hit(0.91, patent_pn="CN2S")]), record(evil, hits=[hit(0.93)])]
    page(tmp_path, *records, view=run(run="w48"))

    async def steps(tab: Tab) -> None:
        await tab.open(tmp_path / "report.html")
        todo = "document.querySelectorAll('.tile b')[3].textContent"
        assert await tab.run(todo) == "2"
        await tab.run("document.querySelectorAll('.row')[0].querySelectorAll('.hit')[0].click()")
        await tab.run(CHANGE % (".by-in", 0, "Li, Mei"))
        await tab.press("2")
        await tab.run(CHANGE % ("#note", 0, 'a "strap"; 手提包'))
        await tab.press("ArrowRight")
        await tab.press("3")
        await tab.press("Escape")
        assert await tab.run(todo) == "1"
        await tab.run(CHANGE % (".row select", 1, "watch"))
        assert await tab.run(todo) == "0"
        assert await tab.run("document.querySelector('#unsaved').textContent") == "3"
        await tab.open(tmp_path / "report.html")  # the browser kept them
        assert await tab.run(todo) == "0"
        await tab.run("document.querySelector('#save').click()")
        saved = tab.downloads / "decisions.csv"
        for _ in range(600):
            if saved.exists() and saved.stat().st_size:
                break
            await asyncio.sleep(0.05)

    look(tmp_path, steps)
    saved = tmp_path / "browser/downloads/decisions.csv"
    assert saved.read_bytes().startswith(b"\xef\xbb\xbf")
    assert "\n'=HYPERLINK" in saved.read_text(encoding="utf-8-sig")
    decided = {key: (one.decision, one.by, one.note, one.run) for key, one in read_decisions(saved).items()}
    assert decided == {
        ("A", "USD0554568S1"): ("escalate", "Li, Mei", 'a "strap"; 手提包', "w48"),
        ("A", "CN2S"): ("dismiss", "Li, Mei", "", "w48"),
        (evil, ""): ("watch", "Li, Mei", "", "w48"),
    }
    view = run(run="w48", decisions=tuple(read_decisions(saved).values()))
    page(tmp_path / "browser", *records, view=view)

    async def again(tab: Tab) -> None:
        await tab.open(tmp_path / "browser" / "report.html")
        assert await tab.run("document.querySelectorAll('.tile b')[3].textContent") == "0"
        assert await tab.run("document.querySelector('#unsaved').textContent") == ""
        stamps = "[...document.querySelectorAll('.row .stamp')].map((one) => one.textContent)"
        assert await tab.run(stamps) == ["Escalate", "Dismiss", "Watch"]

    look(tmp_path / "again", again)


def test_both_languages_and_both_themes_are_a_click_away(small: Path, tmp_path: Path) -> None:
    async def steps(tab: Tab) -> None:
        await tab.open(small)
        await tab.run("document.querySelector('.tools button').click()")
        assert await tab.run("document.documentElement.lang") == "zh-CN"
        assert await tab.run("document.querySelector('.tile span').textContent") == "本次产品数"
        await tab.run("document.querySelector('.shot.product').click()")
        assert "权利人" in await tab.run("document.querySelector('#opened').textContent")
        await tab.press("Escape")
        await tab.open(small)  # it is kept
        assert await tab.run("document.documentElement.lang") == "zh-CN"
        light = await tab.run("getComputedStyle(document.body).backgroundColor")
        await tab.run("document.querySelectorAll('.tools button')[1].click()")
        dark = await tab.run("getComputedStyle(document.body).backgroundColor")
        assert sum(map(int, re.findall(r"\d+", dark))) < 100 < 600 < sum(map(int, re.findall(r"\d+", light)))

    look(tmp_path, steps)


def test_36_products_are_printed_on_at_most_8_pages(tmp_path: Path) -> None:
    written(tmp_path, 36)

    async def steps(tab: Tab) -> None:
        await tab.open(tmp_path / "report.html")
        pdf = await tab.pdf()
        assert 6 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 8
        assert pdf.count(b"/Subtype /Image") > 100
        await tab.run("dispatchEvent(new Event('beforeprint'))")
        margins = await tab.run("document.querySelector('#margins').textContent")
        for part in ("autumn-portfolio", "counter(page)", "counter(pages)", "Practice results", "Not legal advice"):
            assert part in margins
        assert await tab.run("document.querySelectorAll('.sheet-row').length") == 36
        await tab.open(tmp_path / "report.html", "#q=nordlys")
        await tab.run("dispatchEvent(new Event('beforeprint'))")
        assert await tab.run("document.querySelectorAll('.sheet-row').length") == 4

    look(tmp_path, steps)


def test_on_a_phone_the_first_product_is_on_the_first_screen(small: Path, tmp_path: Path) -> None:
    async def steps(tab: Tab) -> None:
        await tab.size(390, 844, scale=2, mobile=True)
        await tab.open(small)
        assert await tab.run("document.querySelector('.row').getBoundingClientRect().top") <= 900
        assert await tab.run("document.documentElement.scrollWidth") <= 390
        await tab.run(CHANGE % (".row select", 0, "watch"))
        edge = "document.querySelector('{}').getBoundingClientRect().{}"
        assert await tab.run(f"{edge.format('#save span', 'right')} <= {edge.format('#unsaved', 'left')}")
        await tab.run("document.querySelector('.shot.product').click()")
        await tab.until("document.querySelector('#opened').open")
        assert await tab.run("document.querySelector('#opened').scrollWidth") <= 390

    look(tmp_path, steps)


EVIL = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"


def test_a_title_that_is_a_script_is_inert(tmp_path: Path) -> None:
    compared = {"patent_id": "p-1", "hit": 0, "patent_pn": EVIL, "similar": EVIL, "risk_level": EVIL}
    details = {"p-1": {"owner": EVIL, "status": EVIL}}
    hits = [hit(0.95, title=EVIL, patent_pn=EVIL)]
    image = {"source": EVIL, "labels": {EVIL: EVIL, "client": "a"}}
    records = [
        record(EVIL, "reported", image=image, hits=hits, comparisons=[compared], details=details),
        record("B", "failed", error={"stage": EVIL, "code": EVIL, "message": EVIL}, todo=f"`{EVIL}`"),
    ]
    page(tmp_path, *records, view=run(job=EVIL, title=EVIL, not_looked_at=[EVIL], exit_reason=EVIL, folder=EVIL))

    async def steps(tab: Tab) -> None:
        await tab.open(tmp_path / "report.html")
        await tab.run("document.querySelector('#causes-open').open = true")
        await tab.run("document.querySelector('.shot.product').click()")
        await tab.until("document.querySelector('#opened').open")
        assert EVIL[:20] in await tab.run("document.querySelector('#opened').textContent")
        await tab.run("dispatchEvent(new Event('beforeprint'))")
        assert "ran" not in await tab.run("document.title.replace(/=.ran./g, '')")
        assert await tab.run("document.querySelectorAll('img[src=x]').length") == 0

    look(tmp_path, steps)


@pytest.mark.parametrize("count", [10_000 if THOROUGH else 2_000])
def test_thousands_of_products_are_shown_found_and_opened(tmp_path: Path, count: int) -> None:
    written(tmp_path, count)

    async def steps(tab: Tab) -> None:
        await tab.open(tmp_path / "report.html")
        await tab.until("document.querySelector('.row img') !== null")
        assert await tab.run(SHOWN) == f"{count:,} of {count:,} products"
        assert await tab.run("document.getElementsByTagName('*').length") <= 1_500
        await tab.run("window.scrollTo(0, document.body.scrollHeight / 2)")
        await tab.until("[...document.querySelectorAll('.row')].every((row) => row.querySelector('.shot.product img'))")
        assert await tab.run("document.getElementsByTagName('*').length") <= 1_500
        await tab.open(tmp_path / "report.html", f"#q=sku-{10_000 + count - 2}")
        assert await tab.run(IDS) == [f"SKU-{10_000 + count - 2}"]
        await tab.run("document.querySelector('.shot.product').click()")
        await tab.until("[...document.querySelectorAll('.large img')].some((one) => one.naturalWidth > 160)")

    look(tmp_path, steps)


def test_a_page_without_what_lies_beside_it_says_so_and_shows_what_it_has(small: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.html"
    alone.write_bytes(small.read_bytes())

    async def steps(tab: Tab) -> None:
        await tab.open(alone)
        banners = "document.querySelector('#banners').textContent"
        assert "folder report/" not in await tab.run(banners)
        await tab.run("document.querySelector('.shot.product').click()")
        await tab.until(f"{banners}.includes('folder report/')")
        assert await tab.run("[...document.querySelectorAll('.large img')].every((one) => one.naturalWidth > 0)")
        assert [line for line in tab.console if "ERR_FILE_NOT_FOUND" in line] == tab.console
        tab.console.clear()

    look(tmp_path, steps)


def test_the_link_to_the_list_keeps_the_filter(small: Path, tmp_path: Path) -> None:
    async def steps(tab: Tab) -> None:
        await tab.open(small, "#q=nordlys")
        await tab.run("document.querySelector('#skip').click()")
        assert (await tab.run(HASH), await tab.run("document.activeElement.id")) == ("#q=nordlys", "list")

    look(tmp_path, steps)


def test_pages_of_one_file_need_nothing_beside_them(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    written(tmp_path / "made", 40, one_file=True)
    alone = tmp_path / "alone.html"
    (tmp_path / "made" / "report.html").rename(alone)

    async def steps(tab: Tab) -> None:
        await tab.open(alone)
        await tab.run("document.querySelector('.shot.product').click()")
        await tab.until("document.querySelectorAll('.large img').length > 0")
        await tab.until("[...document.querySelectorAll('.large img')].every((one) => one.naturalWidth > 160)")
        assert await tab.run("document.querySelectorAll('script[src]').length") == 0

    look(tmp_path, steps)

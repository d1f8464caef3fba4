"""The page of a second month in a real browser: what is new, what is folded, what is to be decided again."""

from pathlib import Path

import pytest

from tests.support.browser import BROWSER, Tab, look
from tests.support.months import NOVEMBER, OCTOBER, dismissals, two_months

pytestmark = [
    pytest.mark.proofs,
    pytest.mark.skipif(BROWSER is None, reason="no browser to look with: .ci/run installs chromium"),
]
PRODUCTS = 400
HASH = "window.location.hash"
SHOWN = "document.querySelector('#shown').textContent"
TILE = "document.querySelectorAll('.tile')[{}].click()"
ROW = "[...document.querySelectorAll('.row')].find((one) => one.querySelector('h3').textContent === '{}')"
TODO = "Number(document.querySelectorAll('.tile b')[3].textContent)"


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("months")
    two_months(folder, PRODUCTS, dismissals(PRODUCTS))
    return folder / NOVEMBER / "report.html"


def test_the_third_number_counts_what_is_new_and_its_filter_stands_in_the_address(month: Path, tmp_path: Path) -> None:
    async def steps(tab: Tab) -> None:
        await tab.open(month)
        tile = await tab.run("document.querySelectorAll('.tile')[2].textContent")
        number = int(tile.split("new")[0])
        assert "new or risen since 30 Oct 2026" in tile
        assert 0 < number < PRODUCTS
        await tab.run(TILE.format(2))
        assert await tab.run(SHOWN) == f"{number} of {PRODUCTS} products"
        assert await tab.run(HASH) == "#min=0.9&mark=new"
        pressed = "[...document.querySelectorAll('.tile')].map((one) => one.ariaPressed)"
        assert await tab.run(pressed) == ["false", "false", "true", "false", "false"]
        rows = "[...document.querySelectorAll('.row')]"
        told = "row.querySelector('.mark.new, .note.change')"
        assert await tab.run(f"{rows}.length && {rows}.every((row) => {told})")
        await tab.open(month, "#mark=new&min=0.9")
        assert await tab.run(SHOWN) == f"{number} of {PRODUCTS} products"
        await tab.open(month, "#mark=nonsense")
        assert await tab.run(SHOWN) == f"{PRODUCTS} of {PRODUCTS} products"

    look(tmp_path, steps)


def test_the_page_says_what_it_is_compared_with_and_each_number_is_a_filter(month: Path, tmp_path: Path) -> None:
    async def steps(tab: Tab) -> None:
        await tab.open(month)
        line = await tab.run("document.querySelector('#since').textContent")
        assert line.startswith(f"Since {OCTOBER}, 30 Oct 2026: ")
        assert f"{OCTOBER}, 30 Oct 2026" in await tab.run("document.querySelector('#foot').textContent")
        links = await tab.run("[...document.querySelectorAll('#since button')].map((one) => one.textContent)")
        assert [words.split(" ", 1)[1] for words in links[1:]] == [
            "with a hit that is gone",
            "not searched then",
            "searched otherwise then",
        ]
        for place, words in enumerate(links):
            await tab.run(f"document.querySelectorAll('#since button')[{place}].click()")
            assert await tab.run(SHOWN) == f"{words.split()[0]} of {PRODUCTS} products"
        await tab.open(month, "#mark=gone")
        await tab.run("document.querySelector('.shot.product').click()")
        gone = await tab.run("document.querySelector('#opened .gone').textContent")
        assert gone.startswith(f"Found in {OCTOBER}, 30 Oct 2026, and not any more: ")
        assert gone.endswith("S (0.99).")

    look(tmp_path, steps)


def test_a_dismissed_hit_is_folded_until_it_rises_and_can_be_dismissed_again(month: Path, tmp_path: Path) -> None:
    same, risen, came = dismissals(PRODUCTS)

    async def steps(tab: Tab) -> None:
        await tab.open(month, f"#q={same.item}")
        row = ROW.format(same.item)
        assert await tab.run(f"{row}.querySelectorAll('.hit:not(.folded)').length") == 4
        assert await tab.run(f"{row}.querySelector('.folded').textContent") == "1 dismissed hit"
        assert not await tab.run(f"{row}.querySelector('.stamp')")
        await tab.run(f"{row}.querySelector('.folded').click()")
        await tab.until("document.querySelector('#opened').open")
        assert same.patent_pn in await tab.run("document.querySelector('#opened figcaption .pn').textContent")
        assert await tab.run("document.querySelector('.choice-dismiss').ariaPressed") == "true"
        await tab.press("Escape")

        await tab.open(month, f"#q={risen.item}")
        todo = await tab.run(TODO)
        row = ROW.format(risen.item)
        assert await tab.run(f"{row}.querySelectorAll('.hit:not(.folded)').length") == 5
        stamp = await tab.run(f"{row}.querySelector('.stamp.again').textContent")
        was = await tab.run(f"{row}.querySelector('.mark.new').textContent")
        assert stamp.replace("Dismiss at", "was") == was
        name = await tab.run(f"{row}.querySelector('.hit').ariaLabel")
        assert "risen from 0.9" in name
        assert "Dismiss at 0.9" in name
        await tab.run(f"{row}.querySelector('.hit').click()")
        assert "to be decided again" in await tab.run("document.querySelector('#opened .lapsed').textContent")
        assert await tab.run("document.querySelector('.choice-dismiss').ariaPressed") == "false"
        await tab.press("3")
        assert await tab.run("document.querySelector('.choice-dismiss').ariaPressed") == "true"
        assert not await tab.run("document.querySelector('#opened .lapsed')")
        await tab.press("Escape")
        assert await tab.run(f"{row}.querySelector('.stamp').textContent") == "Dismiss"
        assert await tab.run(TODO) in (todo, todo - 1)  # its other hits may be to decide

        await tab.open(month, f"#q={came.item}")
        row = ROW.format(came.item)
        assert await tab.run(f"{row}.querySelector('.decide').selectedOptions[0].textContent") == "To decide"
        assert await tab.run(f"{row}.querySelectorAll('.hit:not(.folded)').length") == 1
        assert await tab.run(f"{row}.querySelector('.stamp').textContent") == "came after Dismiss"
        assert await tab.run(f"{row}.querySelector('.folded').textContent") == "4 dismissed hits"
        choose = f"(() => {{ const one = {row}.querySelector('.decide'); one.value = 'dismiss'; "
        await tab.run(choose + "one.dispatchEvent(new Event('change')); })()")
        assert await tab.run(f"{row}.querySelector('.decide').value") == "dismiss"
        assert await tab.run(f"{row}.querySelectorAll('.hit:not(.folded)').length") == 5  # decided here: all in sight

    look(tmp_path, steps)


def test_a_second_month_in_chinese_on_a_phone_and_printed(month: Path, tmp_path: Path) -> None:
    same, risen, _ = dismissals(PRODUCTS)

    async def steps(tab: Tab) -> None:
        await tab.open(month, "#lang=zh&mark=new&min=0.9")
        line = await tab.run("document.querySelector('#since').textContent")
        assert line.startswith(f"与 {OCTOBER}, 2026年10月30日 相比:")
        assert "以来新增或上升" in await tab.run("document.querySelectorAll('.tile')[2].textContent")
        await tab.open(month, f"#lang=en&q={same.item}")
        await tab.run("dispatchEvent(new Event('beforeprint'))")
        assert await tab.run("document.querySelectorAll('.sheet-row .hit').length") == 4
        assert "1 dismissed hit" in await tab.run("document.querySelector('.sheet-row').textContent")
        await tab.open(month, f"#lang=en&mark=new&q={risen.item}")
        await tab.run("dispatchEvent(new Event('beforeprint'))")
        assert "was 0.9" in await tab.run("document.querySelector('.sheet-row').textContent")
        assert "new" in await tab.run("document.querySelector('.paper-words').textContent")
        await tab.size(390, 844, scale=2, mobile=True)
        await tab.open(month)
        assert await tab.run("document.querySelector('.row').getBoundingClientRect().top") <= 900
        assert await tab.run("document.documentElement.scrollWidth") <= 390
        await tab.run("document.querySelector('.shot.product').click()")
        await tab.until("document.querySelector('#opened').open")
        assert await tab.run("document.querySelector('#opened').scrollWidth") <= 390

    look(tmp_path, steps)

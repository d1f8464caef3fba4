"""Texts from outside stay text, and the page loads nothing but its own script and what lies beside it."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.markup import EVIL, Elements
from tests.support.pages import Page
from tests.support.report_records import hit, page, png, record, run

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def everything(shown: Page) -> str:
    """All texts of the page's data, and its static part."""
    return repr([shown.run, shown.index, shown.parts, shown.text])


def evil_page(folder: Path, **view: Any) -> Page:
    labels = {f"{EVIL}{number}": EVIL for number in range(20)}
    task = {"task_id": EVIL, "hits": 1, "expires_at": EVIL, "report_lang": EVIL}
    error = {"stage": EVIL, "code": EVIL, "message": EVIL, "request_id": EVIL, "correlation_id": EVIL}
    texts = ("patent_pn", "title", "risk_level", "similar", "difference", "confusion", "risk_desc", "suggestion")
    compared = {"patent_id": "p", "hit": 0, **dict.fromkeys(texts, EVIL)}
    names = ("owner", "original_owner", "status", "status_sent", "country", "expiry_estimate", "family", "title_cn")
    details = {"p-1": {**dict.fromkeys(names, EVIL), "loc": [EVIL], "application_date": EVIL, "as_of": EVIL}}
    image = {"source": EVIL, "labels": labels}
    evil_hit = hit(title=EVIL, patent_pn=EVIL, url=EVIL)
    evil = [
        record(EVIL, "reported", image=image, task=task, same_as=EVIL, hits=[evil_hit], comparisons=[compared]),
        record(f"{EVIL}2", image=image, details=details, line_drawing=EVIL),
        record(f"{EVIL}3", "failed", error=error, todo=EVIL),
    ]
    fields = ("job", "run", "title", "vendor", "tool", "started_at", "finished_at", "exit_reason", "search", "folder")
    given = {**dict.fromkeys(fields, EVIL), "not_looked_at": [EVIL], "calls": {EVIL: 1}, "files": (EVIL,)}
    return page(folder, *evil, view=run(**{**given, **view}))


def test_nothing_from_outside_becomes_markup(tmp_path: Path) -> None:
    shown = evil_page(tmp_path)
    elements = Elements(shown.text)
    assert [one for one in elements.of("script") if one.get("type") != "application/json"] == [{}]  # its own
    assert not elements.of("img")
    assert not [attributes for _, attributes in elements.found if any(name.startswith("on") for name in attributes)]
    assert "<script>alert" not in shown.text
    assert len(shown.products) == 3


def test_no_hidden_character_reaches_the_page(tmp_path: Path) -> None:
    hidden = "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]"
    assert not re.search(hidden, everything(evil_page(tmp_path)))


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)//https://x.example",
        " javascript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "file:///etc/passwd",
        "//x.example/a.png",
        "https://user:word@x.example/a.png",
        "https://[x",
        "https://sandbox.invalid/gallery/bag-0-1.png",
        "../../etc/passwd",
        "",
        17,
        ["https://x.example"],
        None,
    ],
)
def test_other_urls_are_never_linked(tmp_path: Path, url: Any) -> None:
    image = {"source": url if isinstance(url, str) else "", "labels": {}}
    shown = page(tmp_path, record(image=image, hits=[hit(url=url)]), view=run(links=True)).product("SKU-1")
    assert "u" not in shown.rest
    assert "u" not in shown.hits[0].rest


def test_links_that_lead_out_are_there_only_where_the_job_wants_them(tmp_path: Path) -> None:
    without = page(tmp_path, record()).product("SKU-1")
    assert ("u" in without.rest, "u" in without.hits[0].rest) == (False, False)
    wanted = page(tmp_path, record(), view=run(links=True)).product("SKU-1")
    assert (wanted.rest["u"], wanted.hits[0].rest["u"]) == (
        "https://cdn.example.com/1001.jpg",
        "https://pictures.example/1.png",
    )


def test_the_page_may_load_its_own_script_what_lies_beside_it_and_nothing_else(tmp_path: Path) -> None:
    shown = page(tmp_path, record(image={"source": "a.png", "labels": {}}), pictures={"a.png": png()})
    elements = Elements(shown.text)
    policy, referrer = elements.of("meta")[1:3]
    [script] = _SCRIPT.findall(shown.text)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == {
        "http-equiv": "Content-Security-Policy",
        "content": (
            f"default-src 'none'; script-src 'sha256-{digest}' 'self'; style-src 'unsafe-inline'; img-src data:"
        ),
    }
    assert referrer == {"name": "referrer", "content": "no-referrer"}
    assert not elements.of("link") + elements.of("iframe") + elements.of("form") + elements.of("object")
    style = shown.text.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize(
    "way", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
)
def test_the_script_makes_elements_of_nothing_but_text(tmp_path: Path, way: str) -> None:
    [script] = _SCRIPT.findall(page(tmp_path, record()).text)
    assert way not in script


@pytest.mark.parametrize(
    "named", ["javascript:alert(1)", "https://x.example/1.png", "../spec.yaml", "drawings/../spec.yaml", EVIL, "x" * 64]
)
def test_a_line_drawing_that_is_no_file_of_the_run_is_not_read(named: str, tmp_path: Path) -> None:
    shown = page(tmp_path, record(line_drawing=named), pictures={named: png()}).product("SKU-1")
    assert "d" not in shown.rest


def test_a_line_drawing_of_the_run_is_shown(tmp_path: Path) -> None:
    file = f"drawings/{'0' * 64}.png"
    shown = page(tmp_path, record(line_drawing=file), pictures={file: png()})
    assert shown.picture(shown.product("SKU-1").rest["d"])

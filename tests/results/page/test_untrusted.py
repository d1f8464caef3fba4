"""Texts from outside stay text, and the page loads nothing from anywhere but https pictures."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.markup import EVIL, Elements
from tests.support.report_records import hit, page, png, record, run


def test_nothing_from_outside_becomes_markup(tmp_path: Path) -> None:
    labels = {f"{EVIL}{number}": EVIL for number in range(20)}
    task = {"task_id": EVIL, "hits": 1, "expires_at": EVIL}
    error = {"stage": EVIL, "code": EVIL, "message": EVIL, "request_id": EVIL, "correlation_id": EVIL}
    evil = [
        record(EVIL, image={"source": EVIL, "labels": labels}, task=task, same_as=EVIL, hits=[_evil_hit(EVIL)]),
        record(EVIL, "failed", error=error),
    ]
    texts = {"job", "vendor", "tool", "started_at", "finished_at", "exit_reason", "search", "spec_file", "open_file"}
    view = run(**dict.fromkeys(texts, EVIL), not_looked_at=[EVIL], calls={EVIL: 1})
    text = page(tmp_path, *evil, view=view)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]", text)
    elements = Elements(text)
    assert not elements.of("script")
    assert not [attributes for _, attributes in elements.found if any(name.startswith("on") for name in attributes)]
    assert all(str(image["src"]).startswith(("data:image/jpeg;base64,", "https://")) for image in elements.of("img"))


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
def test_other_urls_are_neither_linked_nor_loaded(tmp_path: Path, url: Any) -> None:
    image = {"source": url if isinstance(url, str) else "", "labels": {}}
    elements = Elements(page(tmp_path, record(image=image, hits=[hit(url=url)])))
    assert not elements.of("img")
    assert {str(link["href"])[:2] for link in elements.of("a")} == {"./", "#o", "#s"}


def test_a_picture_on_the_web_is_loaded_over_https_only(tmp_path: Path) -> None:
    image = {"source": "http://cdn.example.com/1.jpg", "labels": {}}
    elements = Elements(page(tmp_path, record(image=image)))
    (shown,) = elements.of("img")
    assert shown["src"] == "https://pictures.example/1.png"
    assert (shown["loading"], shown["referrerpolicy"]) == ("lazy", "no-referrer")
    assert shown["alt"] == "Drawing of USD0554568S1, Tote bag"
    outward = [link for link in elements.of("a") if str(link["href"]).startswith("http")]
    assert [link["href"] for link in outward] == [image["source"], shown["src"]]
    assert {link["rel"] for link in outward} == {"noopener noreferrer"}


def test_files_are_linked_beside_the_page_whatever_their_names(tmp_path: Path) -> None:
    elements = Elements(page(tmp_path, view=run(spec_file="javascript:alert(1)", open_file="a b#c?.jsonl")))
    names = {link["href"] for link in elements.of("a") if str(link["href"]).startswith("./")}
    assert names == {"./results.jsonl", "./a%20b%23c%3F.jsonl", "./summary.json", "./javascript%3Aalert%281%29"}


def test_the_page_stands_alone(tmp_path: Path) -> None:
    text = page(tmp_path, record(image={"source": "a.png", "labels": {}}), pictures={"a.png": png()})
    elements = Elements(text)
    policy, referrer = elements.of("meta")[1:3]
    assert policy == {
        "http-equiv": "Content-Security-Policy",
        "content": "default-src 'none'; style-src 'unsafe-inline'; img-src data: https:",
    }
    assert referrer == {"name": "referrer", "content": "no-referrer"}
    assert not elements.of("link") + elements.of("script") + elements.of("iframe") + elements.of("form")
    style = text.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def _evil_hit(text: str) -> dict[str, Any]:
    return hit(title=text, patent_pn=text, url=text)


@pytest.mark.parametrize(
    "named", ["javascript:alert(1)", "https://x.example/1.png", "../spec.yaml", "drawings/../spec.yaml", EVIL, "x" * 64]
)
def test_a_line_drawing_that_is_no_file_of_the_run_is_no_link(named: str, tmp_path: Path) -> None:
    links = Elements(page(tmp_path, record(line_drawing=named))).of("a")
    assert all(named not in str(link["href"]) for link in links)


def test_a_line_drawing_of_the_run_is_a_link(tmp_path: Path) -> None:
    file = f"drawings/{'0' * 64}.png"
    assert file in [link["href"] for link in Elements(page(tmp_path, record(line_drawing=file))).of("a")]

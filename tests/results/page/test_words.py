"""The words of the page: each in both languages, none that consoles, and those of the program all known."""

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from pipeline.endpoints.patsnap.endpoints import SEARCHES
from pipeline.models import OPEN, SETTLED
from pipeline.results.before import NO_EARLIER, NOT_WANTED, UNREADABLE
from pipeline.results.left_out import left_out
from pipeline.results.page.dictionary import LANGUAGES, pairs, words
from pipeline.results.page.left_out_words import phrases_of
from pipeline.results.page.shell import SCRIPTS, STYLES
from pipeline.results.page.steps import next_steps
from pipeline.results.page.view import COUNTED
from pipeline.results.survey import Part, survey
from tests.support.forbidden_words import FORBIDDEN, FORBIDDEN_ZH
from tests.support.report_records import hit, page, record, run, surveys

ASSETS = files("pipeline.results.page").joinpath("assets")
SCRIPT = "".join(ASSETS.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
_WITHOUT_LETTERS = ("language.other", "in.country")
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")


def test_no_word_of_ours_consoles(tmp_path: Path) -> None:
    statuses = [state.word for state in (*SETTLED, *OPEN)]
    shown = page(tmp_path, *(record(status, status) for status in statuses), view=run(vendor="sandbox"))
    package = Path(str(ASSETS)).parent
    texts = [_JINJA.sub("", file.read_text(encoding="utf-8")) for file in package.rglob("*.*") if file.suffix != ".pyc"]
    for text in (shown.text, SCRIPT, *texts):
        found = FORBIDDEN.search(text)
        assert not found, (found, text[:80])
    assert not FORBIDDEN_ZH.search("".join(words("zh").values()))


@pytest.mark.parametrize("level", ["Low risk", "It is safe to sell"])
def test_the_vendors_words_stand_in_its_quoted_texts_alone(tmp_path: Path, level: str) -> None:
    compared = {"patent_id": "p-1", "hit": 0, "risk_level": level, "suggestion": level}
    shown = page(tmp_path, record(status="reported", comparisons=[compared]))
    assert level in shown.parts[0]["texts"]
    assert not FORBIDDEN.search(repr([shown.run, shown.index, shown.parts[0]["rest"]]))
    assert "data-vendor" in SCRIPT
    assert 'make("q", {}, text)' in SCRIPT


def test_each_word_is_there_in_both_languages() -> None:
    for name, both in pairs().items():
        assert len(both) == len(LANGUAGES), name
        assert all(both) or name == "stop", name
        holes = [set(re.findall(r"\{(\w+)\}", text)) for text in both]
        assert holes[1] <= holes[0] | {"n"}, name
        assert re.search(r"[\u4e00-\u9fff。]", both[1]) or name in _WITHOUT_LETTERS, name


def _used() -> Iterator[str]:
    yield from re.findall(r'\b(?:t|fact)\("([\w.]+)"', SCRIPT)
    yield from (f"status.{word}" for word in COUNTED)
    yield from (f"meaning.{state.word}" for state in (*SETTLED, *OPEN))
    for prefix, place in (("vendor", "VENDOR_TEXTS"), ("sort", "SORTS"), ("decision", "CHOICES")):
        [listed] = re.findall(rf"const {place} = \[(.*?)\]", SCRIPT)
        yield from (f"{prefix}.{word}" for word in re.findall(r'"(\w+)"', listed))
    yield from (f"mark.{word}" for word in ("new", "gone", "not_then", "otherwise", "task"))
    yield from (f"again.{word}" for word in ("at", "rose", "came"))
    yield from (f"since.{word}" for word in ("new", "gone", "not_then", "otherwise"))
    yield from (f"since.{why}" for why in (NOT_WANTED, NO_EARLIER, UNREADABLE))
    for kind in (
        "awaited",
        "collect",
        "tasks",
        "in_doubt",
        "budget",
        "daily",
        "quota",
        "balance",
        "stopped",
        "not_started",
        "failed",
    ):
        yield from (f"step.{kind}", f"step.{kind}.do")
    said = phrases_of(["utility models", "designs", "patents outside US", "x"], otherwise=2)
    yield from (f"why.{phrase.why}" for phrase in said)


def test_every_word_that_is_used_is_in_the_dictionary() -> None:
    assert sorted(set(_used()) - set(pairs())) == []


def test_every_step_has_its_words() -> None:
    counts = dict.fromkeys(COUNTED, 1)
    assert next_steps(run(counts=counts, unread=2), first_task="", first_awaited="")[0][:2] == ("collect", 2)
    ends = [
        {"ended_by": "budget"},
        {"daily": True},
        {"ended_by": "quota"},
        {"ended_by": "67200005"},
        {"ended_by": "x"},
        {},
    ]
    for end in ends:
        for step in next_steps(run(counts=counts, **end), first_task="", first_awaited=""):
            assert {f"step.{step.kind}", f"step.{step.kind}.do"} <= set(pairs())


def _phrases() -> Iterator[str]:
    for search in SEARCHES:
        filters = search.model_fields["filters"].annotation
        yield from (phrase.format("7") for phrase in filters.PHRASES.values())  # type: ignore[union-attr]
        yield from search.left_out_by({})


def test_every_phrase_of_what_was_not_looked_at_is_known_in_chinese(tmp_path: Path) -> None:
    task = {"task_id": "t", "hits": 1}
    search = {"endpoint": "P009", "params": {"limit": 100}, "total": 3, "hits": 2, "truncated": True}
    lines = [
        record(task=task, search=search, hits=[hit(), hit()]),
        record("A", "failed"),
        record("B", "in_doubt", search=search),
        record("C", "report_pending", search=search, task=task),
    ]
    settled, open_ = surveys(tmp_path, *lines)
    said = left_out(settled, open_, {"not_started": 2}, changed=["a.jpg"])
    for phrase in phrases_of([*_phrases(), *said], otherwise=1):
        assert re.search(r"[\u4e00-\u9fff]", phrase.zh), phrase
        assert f"why.{phrase.why}" in pairs()
    assert survey(Part(tmp_path / "results.jsonl")).statuses["tasked"] == 1


def test_every_script_and_style_is_in_the_page_and_none_is_long() -> None:
    names = {file.name for file in ASSETS.iterdir()}
    assert {f"{name}.js" for name in SCRIPTS} == {name for name in names if name.endswith(".js")}
    of_runs = {"runs.css"}  # the page over all runs, which shares the base
    assert {f"{name}.css" for name in STYLES} | of_runs == {name for name in names if name.endswith(".css")}
    assert all(len(ASSETS.joinpath(f"{name}.js").read_text().splitlines()) <= 300 for name in SCRIPTS)

"""What the program says in Chinese, and to whom."""

import json
import os
import re
import subprocess
import sys

import pytest

from pipeline.models import OPEN, SETTLED
from pipeline.results.page.dictionary import pairs
from pipeline.system.chinese.dictionary import dictionary
from pipeline.system.chinese.translation import translated


def test_states_are_called_as_the_page_calls_them() -> None:
    words, page = dictionary().words, pairs()
    for state in (*SETTLED, *OPEN):
        assert words[state.word] == words[state.word.replace("_", " ")] == page[f"status.{state.word}"][1]
    for word in ("watch", "escalate", "dismiss"):
        assert words[word] == page[f"decision.{word}"][1]


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("all items are settled", "\u5168\u90e8\u4ea7\u54c1\u5df2\u5b8c\u6210"),
        (
            "1 item is not started; run again to go on",
            "1 \u4e2a\u4ea7\u54c1\u672a\u5f00\u59cb;\u518d\u6b21\u8fd0\u884c\u5373\u53ef\u7ee7\u7eed",
        ),
        (
            "20,783 items are not started; run again to go on",
            "20,783 \u4e2a\u4ea7\u54c1\u672a\u5f00\u59cb;\u518d\u6b21\u8fd0\u884c\u5373\u53ef\u7ee7\u7eed",
        ),
        (
            "calls so far: 2 upload, 1 search; the sandbox billed 4 units",
            "至今调用:上传 2 次,检索 1 次;沙箱计费 4 单位",
        ),
        ("3 h 5 min", "3 \u5c0f\u65f6 5 \u5206"),
        ("since 4 min 12 s", "\u5df2\u7528 4 \u5206 12 \u79d2"),
    ],
)
def test_numbers_and_spans_of_time_read_as_in_chinese(english: str, chinese: str) -> None:
    assert translated(english) == chinese


@pytest.mark.parametrize("said", ["the vendor was busy", "no permission; all items are settled", "failed"])
def test_the_words_of_the_vendor_stay_as_they_are(said: str) -> None:
    shown = translated(f"failed: SKU-1: the vendor does not accept this picture file (68300010: {said})")
    assert shown.endswith(f"(68300010: {said})")
    assert re.search(r"[\u4e00-\u9fff]", shown)


@pytest.mark.parametrize("name", ["all", "failed", "Bank of China", "the sandbox, and then", "runs/a; b: c.jpg"])
def test_a_name_that_reads_like_a_message_stays_as_it_is(name: str) -> None:
    assert f"{name!r}" in translated(f"the id {name!r} is already used for another picture")


def test_what_is_no_message_stays_as_it_is() -> None:
    for text in ("", "36", "runs/demo/report.html", "SKU-1: lamp.jpg", "x" * 30_000, "Bank of China", "a and b"):
        assert translated(text) == text


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    names = {name: value for name, value in os.environ.items() if name != "PIPELINE_LANG"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", env={**names, **environment}, check=True
    )


_TELL = (
    "from pipeline.system.language import remark, translated; print(translated('nothing was sent')); print(remark())"
)


@pytest.mark.proofs
@pytest.mark.parametrize("language", ["zh", "zh-CN", "zh_CN.UTF-8", "ZH", " zh-Hans "])
def test_chinese_is_spoken_by_any_of_its_names(language: str) -> None:
    assert run(_TELL, PIPELINE_LANG=language, PYTHONUTF8="1").stdout == f"{translated('nothing was sent')}\n\n"


@pytest.mark.parametrize("language", ["", "en", "en_US.UTF-8", "C"])
def test_english_is_spoken_without_a_word(language: str) -> None:
    assert run(_TELL, PIPELINE_LANG=language).stdout == "nothing was sent\n\n"


def test_another_language_is_one_remark_and_english() -> None:
    said = run(_TELL, PIPELINE_LANG="fr").stdout.splitlines()
    assert said == [
        "nothing was sent",
        "note: PIPELINE_LANG=fr is not known; zh is Chinese, without it all is in English",
    ]


def test_a_terminal_without_chinese_letters_is_spoken_to_in_english() -> None:
    said = run(_TELL, PIPELINE_LANG="zh", PYTHONIOENCODING="ascii").stdout.splitlines()
    assert said[0] == "nothing was sent"
    assert said[1].startswith("note: PIPELINE_LANG: this terminal has no Chinese letters")


def test_english_loads_no_dictionary() -> None:
    code = (
        "import json, sys; from pipeline.cli.main import run; run(['--help']); "
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    loaded = json.loads(run(code).stderr)
    assert "pipeline.system.language" in loaded
    assert not [name for name in loaded if name.startswith(("pipeline.system.chinese", "pipeline.cli.help_in_chinese"))]

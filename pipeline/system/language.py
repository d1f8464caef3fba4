"""The language of what a command says to people: English, or Chinese by PIPELINE_LANG=zh.

Every message is written in English where it is made, and put into Chinese where it is shown: records, logs, JSON and
what a program reads stay as they are. In English nothing is loaded, and no letter is changed.
"""

import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

VARIABLE = "PIPELINE_LANG"
_ENGLISH = ("", "c", "posix", "en")
_A_LETTER = "\u4e2d"  # that each screen must know


def translated(text: str) -> str:
    """Return what a person is shown of a message: the message itself, or its words in Chinese."""
    translate = _translate()
    return translate(text) if translate else text


def named(word: str) -> str:
    """Return what a person is shown of a name in a table, which may be a single word such as a state."""
    if not _translate():
        return word
    from pipeline.system.chinese.dictionary import dictionary

    return dictionary().words.get(word) or translated(word)


def in_chinese() -> bool:
    """Return whether this command speaks Chinese."""
    return _translate() is not None


def remark() -> str:
    """Say why the language that was asked for is not spoken; "" where it is, or none was asked for."""
    asked = _asked()
    if asked in _ENGLISH or (asked == "zh" and _shows_chinese()):
        return ""
    if asked == "zh":
        return (
            f"note: {VARIABLE}: this terminal has no Chinese letters (its encoding is {_encoding()}), so English it is"
        )
    return f"note: {VARIABLE}={os.environ[VARIABLE]} is not known; zh is Chinese, without it all is in English"


@cache
def _translate() -> Callable[[str], str] | None:
    if _asked() != "zh" or not _shows_chinese():
        return None
    from pipeline.system.chinese.translation import translated

    return translated


def _asked() -> str:
    """Return the language that is asked for, without its country and encoding: `zh` of `zh_CN.UTF-8`."""
    asked = os.environ.get(VARIABLE, "").strip().lower()
    return asked.partition(".")[0].replace("_", "-").partition("-")[0]


def _shows_chinese() -> bool:
    return all(_knows_chinese(stream) for stream in (sys.stdout, sys.stderr))


def _knows_chinese(stream: Any) -> bool:
    try:
        _A_LETTER.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _encoding() -> str:
    lacking = (stream for stream in (sys.stdout, sys.stderr) if not _knows_chinese(stream))
    return next((stream.encoding for stream in lacking), "")

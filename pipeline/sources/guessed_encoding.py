"""The encoding of a text file that names none, guessed from its bytes as a person would: by the letters that come out.

UTF-8 proves itself. Any other bytes are read in each encoding that spreadsheet programs write, and the one wins whose
letters are those of ordinary texts: the everyday characters of Chinese, Japanese and Korean stand together in their
tables, and the accents of European languages stand between plain letters.
"""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pipeline.sources.encodings import encoding_of

_MOST = 8 << 20  # bytes that are looked at
_HIGH = re.compile(rb"[\x80-\xff]+")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_SURE = 0.9  # of the letters beyond ASCII that must be everyday ones
_LEAST = 0.6


class Guess(NamedTuple):
    """An encoding, and whether it can hardly be another one."""

    encoding: str
    sure: bool = True


def guess_encoding(file: Path) -> Guess:
    """Guess how a text file is encoded. Raises OSError."""
    with file.open("rb") as raw:
        data = raw.read(_MOST)
    named = encoding_of(data[:512], "utf-8")
    if named != "utf-8" or data.startswith(b"\xef\xbb\xbf"):
        return Guess("utf-8")  # its first bytes say what it is, and whoever reads it looks at them
    if _is_utf_16(data):
        return Guess("utf-16")
    if _decoded(data, "utf-8") is not None:
        return Guess("utf-8")
    scores = {encoding: score(data) for encoding, score in _SCORES.items()}
    best = max(scores, key=lambda encoding: scores[encoding])
    if scores[best] < _LEAST:
        return Guess("cp1252", sure=False)
    others = max(score for encoding, score in scores.items() if encoding != best)
    return Guess(best, sure=scores[best] >= _SURE and others < scores[best])


def _is_utf_16(data: bytes) -> bool:
    """Return whether bytes without a mark are UTF-16 as most machines write it: many second bytes are zero."""
    head = data[:4096]
    return not any(byte == 0 for byte in head[::2]) and head[1::2].count(0) > len(head) // 20


def _decoded(data: bytes, encoding: str) -> str | None:
    """Decode bytes that may end within a character; None where they are no text of the encoding."""
    for cut in range(4):
        try:
            return data[: len(data) - cut].decode(encoding)
        except UnicodeDecodeError as exc:
            if len(data) < _MOST or exc.start < len(data) - 8:
                return None
    return None


def _pairs(encoding: str, is_everyday: Callable[[int, int], bool]) -> Callable[[bytes], float]:
    """Make the score of an encoding with two bytes a character: the part of them that is everyday."""

    def score(data: bytes) -> float:
        text = _decoded(data, encoding)
        if text is None:
            return 0.0
        letters = Counter(_BEYOND_ASCII.findall(text))
        raw = {letter: letter.encode(encoding) for letter in letters}
        everyday = [letter for letter, (lead, *more) in raw.items() if is_everyday(lead, more[0] if more else 0)]
        return sum(letters[letter] for letter in everyday) / letters.total() if letters else 0.0

    return score


def _gb(lead: int, trail: int) -> bool:
    return (0xB0 <= lead <= 0xD7 or 0xA1 <= lead <= 0xA3) and trail >= 0xA1


def _big5(lead: int, trail: int) -> bool:
    return 0xA4 <= lead <= 0xC6 or (lead == 0xA1 and trail < 0x7F)


def _japanese(lead: int, trail: int) -> bool:
    return lead in (0x81, 0x82, 0x83) or 0x88 <= lead <= 0x97


def _hangul(lead: int, trail: int) -> bool:
    return 0xB0 <= lead <= 0xC8 and trail >= 0xA1


def _korean(data: bytes) -> float:
    """Score Korean, whose bytes are everyday ones of Chinese too: there a third of them would lie further behind."""
    score = _pairs("cp949", _hangul)(data)
    return score + 0.01 if score == 1.0 and sum(map(len, _HIGH.findall(data))) >= 24 else 0.0


def _western(data: bytes) -> float:
    """Score Western European texts: accents are few and mostly stand alone between plain letters."""
    if _decoded(data, "cp1252") is None:
        return 0.0
    runs = _HIGH.findall(data)
    alone = sum(1 for run in runs if len(run) <= 2 and all(_is_western(byte) for byte in run))
    return alone / len(runs) * 0.99


def _is_western(byte: int) -> bool:
    return (
        byte >= 0xC0 and byte not in (0xD7, 0xF7)
    ) or byte in b"\x80\x85\x91\x92\x93\x94\x96\x97\xa0\xa7\xa9\xab\xae\xb0\xbb"


def _cyrillic(data: bytes) -> float:
    """Score Cyrillic: whole words of high bytes, small letters for the most part."""
    if _decoded(data, "cp1251") is None:
        return 0.0
    runs = [run for run in _HIGH.findall(data) if len(run) > 2]
    high = sum(map(len, runs))
    small = sum(1 for run in runs for byte in run if byte >= 0xE0 or byte in b"\xb8")
    return small / high * 0.98 if high and small / high >= 0.75 else 0.0


_SCORES: dict[str, Callable[[bytes], float]] = {
    "gb18030": _pairs("gb18030", _gb),
    "big5": _pairs("cp950", _big5),
    "shift_jis": _pairs("cp932", _japanese),
    "cp949": _korean,
    "cp1252": _western,
    "cp1251": _cyrillic,
}

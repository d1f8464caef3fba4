"""Messages put into Chinese: a message is found by its form, and what stands at its places is put into Chinese in turn.

A line is often joined of several messages (`a; b`, `place: what is wrong`): what is none as a whole is taken apart at
its punctuation. What no entry knows, such as names, paths and the vendor's own words, stays as it is.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

from pipeline.system.chinese.dictionary import dictionary
from pipeline.system.chinese.entry import Entry, Place

_LETTER = re.compile(r"[A-Za-z]")
_COMMANDS = re.compile(r"`[^`]*`")
_QUOTES = {"'": "'", '"': '"', "`": "`", "\u201c": "\u201d"}
_JOINTS = {"\n": "\n", ". ": "\u3002", "; ": ";", ": ": ":", ", ": ",", "   ": "   ", " \u00b7 ": " \u00b7 "}
_OF_LISTS = ("; ", "   ", " \u00b7 ")
_OPENING = " ,;.(:"  # what a message begins with that stands behind another
_OWN_CODE = re.compile(r"(?!unknown_code)[a-z]+(?:_[a-z]+)*")
# A refusal with its code and what was said of it, in which brackets may close what they opened.
_CODED = re.compile(r"(.+?) \((\w{1,100})((?:: [^()]*(?:\([^()]*\)[^()]*)*)?)\)", re.DOTALL)
_CODED_WILDLY = re.compile(r"(.+?) \((\w{1,100})(: .*)\)", re.DOTALL)
_BRACKETED = re.compile(r"(.+) \(([^()]*)\)")
_MORE = re.compile(r"(.*?) and ([0-9,]+) more")
_LONGEST = 20_000  # characters: what is longer is a text of somebody else
_LONGEST_LINE = 2_000  # characters in which the joints of a line are looked for


@lru_cache(maxsize=2000)
def translated(text: str) -> str:
    """Say a text in Chinese, as far as it is made of messages of this program."""
    if not _LETTER.search(text) or _is_quoted(text) or len(text) > _LONGEST:
        return text
    whole = _whole(text)
    if whole is not None:
        return whole
    core = text.strip()
    return _in_parts(text) if core == text else text.replace(core, translated(core), 1)


def entries_of(text: str) -> Iterator[tuple[Entry, list[str]]]:
    """Find the messages that a text may be as a whole, each with the values at its places."""
    for entry in dictionary().near(text):
        for values in entry.values(text):
            if all(map(_fits, entry.places, values)):
                yield entry, values


def _fits(place: Place, value: str) -> bool:
    return place.kind != "!" or _whole(value) is not None


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text[-1] not in text[1:-1]


@lru_cache(maxsize=4000)
def _whole(text: str) -> str | None:
    """Say a text that is one message; of several that it may be, the one that leaves the least in English."""
    # Of two that leave as much the one that says `36 uploads` tells more than the one for a number and any word.
    found = sorted(entries_of(text), key=lambda one: sum(place.kind == "@" for place in one[0].places))
    return min((_filled(entry, values) for entry, values in found), key=_left, default=None) or _coded(_CODED, text)


def _left(text: str) -> int:
    return len(_LETTER.findall(_COMMANDS.sub("", text)))


def _filled(entry: Entry, values: list[str]) -> str:
    said = {place.name: _said(place, value) for place, value in zip(entry.places, values, strict=True)}
    return entry.chinese.format(**said)


def _said(place: Place, value: str) -> str:
    match place.kind:
        case "" | "!":
            return translated(value)
        case "@" | "*":
            return dictionary().words.get(value) or translated(value)
        case "&":
            return _listed(value)
        case _:
            return value


def _listed(names: str) -> str:
    """Say a list of names: the names stay, what joins them does not."""
    names, full_stop, rest = names.partition(". ")
    if full_stop:
        return f"{_listed(names)}\u3002{translated(rest)}"
    more = _MORE.fullmatch(names)
    if more:
        return f"{_listed(more[1])} \u7b49,\u53e6\u6709 {more[2]} \u4e2a"
    for last, joint in ((" and ", "\u548c"), (" or ", "\u6216")):
        first, found, rest = names.rpartition(last)
        if found and first:
            return f"{_listed(first)} {joint} {_item(rest)}"
    return "\u3001".join(map(_item, names.split(", ")))


def _item(name: str) -> str:
    return dictionary().words.get(name) or translated(name)


def _coded(form: re.Pattern[str], text: str) -> str | None:
    """Say `the vendor was busy (67200001: SYSTEM BUSY)`: the vendor's code and words stay as they are."""
    found = form.fullmatch(text)
    if found is None or (said := _whole(found[1])) is None:
        return None
    code, words = found[2], found[3]
    if _OWN_CODE.fullmatch(code):
        words = f": {translated(words[2:])}" if words else ""
    return f"{said} ({code}{words})"


def _in_parts(text: str) -> str:
    """Take a text apart: what stands behind a message, before one, in brackets, or beside one."""
    for joint in _OF_LISTS:
        if joint in text and (listed := _all_of(text.split(joint))) is not None:
            return _JOINTS[joint].join(listed)
    takes = (_with_a_tail, _with_a_head, partial(_coded, _CODED_WILDLY), _at_a_joint, _in_brackets)
    return min(filter(None, (take(text) for take in takes)), key=_left, default=text)


def _all_of(parts: list[str]) -> list[str] | None:
    """Say the parts of a line of progress, where each is a message: in one go, for it is drawn again and again."""
    said = []
    for part in parts:
        name, colon, rest = part.partition(": ")
        sides = [_whole(part)] if not colon or _whole(part) is not None else [_whole(name), _whole(rest)]
        if None in sides:
            return None
        said.append(_JOINTS[": "].join(filter(None, sides)))
    return said


def _with_a_tail(text: str) -> str | None:
    """Find a message that stands behind another text, such as `, and 3 more`."""
    said = [
        translated(text[:at]) + tail
        for at, letter in enumerate(text)
        if at and letter in _OPENING and (tail := _one_of(text[at:], _begins_behind)) is not None
    ]
    return min(said, key=_left, default=None)


def _with_a_head(text: str) -> str | None:
    """Find a message that stands before another text, such as `the first: `."""
    for at in (found.end() for found in re.finditer(" ", text)):
        if at < len(text) and (head := _one_of(text[:at], _ends_before)) is not None:
            return head + translated(text[at:])
    return None


def _one_of(text: str, which: Callable[[Entry], bool]) -> str | None:
    said = [_filled(entry, values) for entry, values in entries_of(text) if which(entry)]
    return min(said, key=_left, default=None)


def _begins_behind(entry: Entry) -> bool:
    return entry.english[0] in _OPENING


def _ends_before(entry: Entry) -> bool:
    return entry.english[-1] == " "


def _at_a_joint(text: str) -> str | None:
    """Part a text where both sides are messages; where there is no such place, where one of them is."""
    joints = [
        (joint, found.start()) for joint in _JOINTS for found in re.finditer(re.escape(joint), text[:_LONGEST_LINE])
    ]
    said = []
    for both in (True, False):
        for joint, at in joints:
            left, right = text[:at], text[at + len(joint) :]
            sides = _whole(left), _whole(right)
            if None in sides if both else sides == (None, None):
                continue
            first, second = (side or translated(part) for side, part in zip(sides, (left, right), strict=True))
            said.append(f"{first}{joint if first == left and joint == ': ' else _JOINTS[joint]}{second}")
        if said:
            break
    return min(said, key=_left, default=None)


def _in_brackets(text: str) -> str | None:
    """Part a text from what is said of it in brackets, such as how long it took."""
    found = _BRACKETED.fullmatch(text)
    if found is None:
        return None
    said = translated(found[1]), translated(found[2])
    return None if said == found.groups() else f"{said[0]} ({said[1]})"

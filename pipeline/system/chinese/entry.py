"""One entry of the dictionary: a message in English with its places for values, and the same in Chinese.

A place is `{name}`; what stands there is a message of its own, and said in Chinese where it has an entry. Other kinds:

    {name:=}  left as it is: words of the vendor or of the user
    {name:1}  one word, left as it is
    {name:q}  one word or a quoted text, left as it is
    {name:;}  left as it is, and ended by a semicolon
    {name:#}  a number
    {name:$}  an amount, with its currency perhaps
    {name:@}  a single word of the program, such as a state
    {name:*}  perhaps one, else a message
    {name:&}  a list of names
    {name:!}  a message, and nothing else

`[item|items]` is one of several words that mean the same. What stands in backticks is left as it is.
"""

import re
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

WORD = re.compile(r"[A-Za-z]+")
_PARTS = re.compile(r"(\{\{|\}\}|\{[^{}]*\}|\[[^\[\]|]*\|[^\[\]]*\])")
_NUMBER = r"[-+]?[0-9](?:[0-9,.]*[0-9])?(?:e[-+]?[0-9]+)?"
_FORMS = {
    "#": _NUMBER,
    ";": r"(?:(?!; ).)*?",
    "1": r"\S+",
    "`": r"[^`]*",
    "q": r"""'.*?'|".*?"|\S+""",
    "$": rf"{_NUMBER}(?: [A-Za-z\u4e00-\u9fff$\u20ac\u00a5\u00a3]+)?",
}

_LITTLE, _MUCH = ".*?", ".*"
_ANY = ("", "=", "&", "*", "!")  # kinds of places at which anything may stand


class Place(NamedTuple):
    """A place for a value: its name, and what may stand there."""

    name: str
    kind: str


class Entry:
    """A message in both languages."""

    def __init__(self, english: str, chinese: str, words: str) -> None:
        self.english, self.chinese = english, chinese
        self._words = words  # a pattern of all single words
        self.parts = _in_commands([part for part in _PARTS.split(english) if part])
        self.places = [_place(part) for part in self.parts if _is_place(part)]
        literals = [_unescaped(part) for part in self.parts if not _is_place(part) and not _is_choice(part)]
        self.probe = max(literals, key=len, default="")  # what is always in it, and tells most others apart
        self.words = [word for at, part in enumerate(self.parts) if part in literals for word in self._whole_words(at)]

    def _whole_words(self, at: int) -> list[str]:
        """Return the words of a part that no value beside it can make longer."""
        found = list(WORD.finditer(self.parts[at]))
        size, last = len(self.parts[at]), len(self.parts) - 1
        return [one[0] for one in found if (one.start() or not at) and (one.end() < size or at == last)]

    @property
    def choices(self) -> list[str]:
        """A word of each of the texts of its first choice between words; [] of an entry without one."""
        first = next((part for part in self.parts if _is_choice(part)), "[]")
        return [WORD.findall(text)[0] for text in first[1:-1].split("|") if text]

    @property
    def form(self) -> str:
        """The message without the names of its places: two that differ in these alone are the same."""
        return "".join("{}" if _is_place(part) else part for part in self.parts)

    @cached_property
    def patterns(self) -> list[re.Pattern[str]]:
        """The patterns of all texts that are this message; made when they are needed, for most never are.

        The first leaves to each value as little as it can, the second, where it may find another, as much.
        """
        forms = ["", _MUCH] if sum(place.kind in _ANY for place in self.places) > 1 else [""]
        return [re.compile("".join(self._form(part, much) for part in self.parts), re.DOTALL) for much in forms]

    def values(self, text: str) -> list[list[str]]:
        """Return what may stand at the places of a text that is this message; [] of another text."""
        if self.probe not in text:
            return []
        found = [pattern.fullmatch(text) for pattern in self.patterns]
        return [list(values) for values in dict.fromkeys(one.groups() for one in found if one)]

    def _form(self, part: str, much: str) -> str:
        if _is_place(part):
            kind = _place(part).kind
            return f"({self._words})" if kind == "@" else f"({_FORMS.get(kind, much or _LITTLE)})"
        if _is_choice(part):
            return f"(?:{'|'.join(map(re.escape, part[1:-1].split('|')))})"
        return re.escape(_unescaped(part))


def _in_commands(parts: list[str]) -> list[str]:
    """Let places within a command, which stands in backticks, end where it does."""
    ticks = accumulate(0 if _is_place(part) else part.count("`") for part in parts)
    return [
        f"{{{_place(part).name}:`}}" if _is_place(part) and before % 2 else part
        for part, before in zip(parts, ticks, strict=True)
    ]


def _is_place(part: str) -> bool:
    return part.startswith("{") and part != "{{"


def _is_choice(part: str) -> bool:
    return part.startswith("[") and "|" in part and part.endswith("]")


def _place(part: str) -> Place:
    name, _, kind = part[1:-1].partition(":")
    return Place(name, kind)


def _unescaped(part: str) -> str:
    return {"{{": "{", "}}": "}"}.get(part, part)

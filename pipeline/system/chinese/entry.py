"""One entry of the dictionary: a message in English with its places for values, and the same in Chinese.

A place is `{name}`; what stands there is a message of its own, and said in Chinese where it has an entry. Other kinds:

    {name:=}  left as it is: words of the vendor or of the user
    {name:1}  one word, left as it is
    {name:q}  one word or a quoted text, left as it is
    {name:#}  a number
    {name:$}  an amount, with its currency perhaps
    {name:@}  a single word of the program, such as a state
    {name:*}  perhaps one, else a message
    {name:&}  a list of names
    {name:!}  a message, and nothing else

`[item|items]` is one of several words that mean the same.
"""

import re
from functools import cached_property
from typing import NamedTuple

_PARTS = re.compile(r"(\{\{|\}\}|\{[^{}]*\}|\[[^\[\]|]*\|[^\[\]]*\])")
_NUMBER = r"[-+]?[0-9](?:[0-9,.]*[0-9])?(?:e[-+]?[0-9]+)?"
_FORMS = {
    "#": _NUMBER,
    "1": r"\S+",
    "q": r"""'.*?'|".*?"|\S+""",
    "$": rf"{_NUMBER}(?: [A-Za-z\u4e00-\u9fff$\u20ac\u00a5\u00a3]+)?",
}


class Place(NamedTuple):
    """A place for a value: its name, and what may stand there."""

    name: str
    kind: str


class Entry:
    """A message in both languages."""

    def __init__(self, english: str, chinese: str, words: str) -> None:
        self.english, self.chinese = english, chinese
        self._words = words  # a pattern of all single words
        self.parts = [part for part in _PARTS.split(english) if part]
        self.places = [_place(part) for part in self.parts if _is_place(part)]
        literals = [_unescaped(part) for part in self.parts if not _is_place(part) and not _is_choice(part)]
        self.probe = max(literals, key=len, default="")  # what is always in it, and tells most others apart
        self.weight = sum(letter.isalpha() for literal in literals for letter in literal)

    @property
    def form(self) -> str:
        """The message without the names of its places: two that differ in these alone are the same."""
        return "".join("{}" if _is_place(part) else part for part in self.parts)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The pattern of all texts that are this message; made when it is needed, for most never are."""
        return re.compile("".join(map(self._form, self.parts)), re.DOTALL)

    def values(self, text: str) -> list[str] | None:
        """Return what stands at the places of a text that is this message; None of another text."""
        if self.probe not in text or (found := self.pattern.fullmatch(text)) is None:
            return None
        return list(found.groups())

    def _form(self, part: str) -> str:
        if _is_place(part):
            kind = _place(part).kind
            return f"({self._words})" if kind == "@" else f"({_FORMS.get(kind, '.*?')})"
        if _is_choice(part):
            return f"(?:{'|'.join(map(re.escape, part[1:-1].split('|')))})"
        return re.escape(_unescaped(part))


def _is_place(part: str) -> bool:
    return part.startswith("{") and part != "{{"


def _is_choice(part: str) -> bool:
    return part.startswith("[") and "|" in part and part.endswith("]")


def _place(part: str) -> Place:
    name, _, kind = part[1:-1].partition(":")
    return Place(name, kind)


def _unescaped(part: str) -> str:
    return {"{{": "{", "}}": "}"}.get(part, part)

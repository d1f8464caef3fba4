"""The dictionary: the files beside this one, a room of the program each, read once."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from pipeline.system.chinese.entry import WORD, Entry

_FIELD = re.compile(r"([a-z_]+(?:\.[a-z_]+)+): ")
WORDS = "words"  # single words, such as states, which are said in Chinese at places for words alone


class Dictionary(NamedTuple):
    """All entries, and each by a word of its own, for of many hundreds few have a word of a given text."""

    entries: list[Entry]
    words: dict[str, str]
    by_word: dict[str, list[Entry]]

    def near(self, text: str) -> Iterator[Entry]:
        """Yield the entries of which a text may be one."""
        yield from self.by_word.get("", ())
        for word in dict.fromkeys(WORD.findall(text)):
            yield from self.by_word.get(word, ())


@cache
def dictionary() -> Dictionary:
    """Read the dictionary."""
    rooms = by_room()
    words = rooms.pop(WORDS)
    one_of = "|".join(sorted(words, key=len, reverse=True))
    pairs = [both for room in rooms.values() for both in room.items()]
    entries = [Entry(english, chinese, one_of) for english, chinese in [*pairs, *_without_fields(pairs)]]
    return Dictionary(entries, words, _by_word(entries))


def _without_fields(pairs: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield messages without the field that they begin with: a fault of a job file names that itself."""
    for english, chinese in pairs:
        field = _FIELD.match(english)
        if field and chinese.startswith(f"{field[1]}:"):
            yield english[field.end() :], chinese[len(field[1]) + 1 :]


def _by_word(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Order entries by the rarest word that each of their texts has, or by their choices; by "" those without any."""
    often = Counter(word for entry in entries for word in entry.words)
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        rarest = min(entry.words, key=often.__getitem__, default="")
        for word in dict.fromkeys([rarest] if rarest else entry.choices or [""]):
            found.setdefault(word, []).append(entry)
    return found


def by_room() -> dict[str, dict[str, str]]:
    """Read each file: English to Chinese."""
    return {file.name.removesuffix(".json"): _pairs(file.read_text(encoding="utf-8")) for file in _files()}


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = json.loads(text)
    return pairs


def _files() -> list[Traversable]:
    return sorted((file for file in files(__package__).iterdir() if file.name.endswith(".json")), key=lambda f: f.name)

"""The dictionary: the files beside this one, a room of the program each, read once."""

import json
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from pipeline.system.chinese.entry import Entry

WORDS = "words"  # single words, such as states, which are said in Chinese at places for words alone


class Dictionary(NamedTuple):
    """All entries, those that say most first."""

    entries: list[Entry]
    words: dict[str, str]


@cache
def dictionary() -> Dictionary:
    """Read the dictionary."""
    rooms = by_room()
    words = rooms.pop(WORDS)
    one_of = "|".join(sorted(words, key=len, reverse=True))
    entries = [Entry(english, chinese, one_of) for pairs in rooms.values() for english, chinese in pairs.items()]
    return Dictionary(sorted(entries, key=lambda entry: -entry.weight), words)


def by_room() -> dict[str, dict[str, str]]:
    """Read each file: English to Chinese."""
    return {file.name.removesuffix(".json"): _pairs(file.read_text(encoding="utf-8")) for file in _files()}


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = json.loads(text)
    return pairs


def _files() -> list[Traversable]:
    return sorted((file for file in files(__package__).iterdir() if file.name.endswith(".json")), key=lambda f: f.name)

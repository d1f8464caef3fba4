"""The words of a page in English and Chinese, from one file in which each has both."""

import json
from functools import lru_cache
from importlib.resources import files

LANGUAGES = ("en", "zh")


def in_language(lang: str) -> str:
    """Return the language of a page: English for one that is not there."""
    return lang if lang in LANGUAGES else LANGUAGES[0]


def words(lang: str) -> dict[str, str]:
    """Return all words in a language, by their names."""
    place = LANGUAGES.index(in_language(lang))
    return {name: both[place] for name, both in pairs().items()}


@lru_cache(maxsize=1)
def pairs() -> dict[str, list[str]]:
    """Return all words by their names, each in both languages."""
    text = files("pipeline.results.page").joinpath("assets", "words.json").read_text(encoding="utf-8")
    found: dict[str, list[str]] = json.loads(text)
    return found

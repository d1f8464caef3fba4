"""The dictionary: every message of the program has its Chinese, and no entry stands for a message that is gone."""

import json
import re
from pathlib import Path

from pipeline.system.chinese.dictionary import WORDS, by_room, dictionary
from pipeline.system.chinese.entry import Entry
from tests.support.forbidden_words import FORBIDDEN_ZH
from tests.support.messages import PACKAGE, Message, messages
from tests.support.not_for_people import FILES, FORMS, TEXTS, is_not_for_people

# Messages that are joined of parts in the program, and those of libraries: no text of the source is the whole of one.
JOINED, LIBRARIES = "joined", "libraries"
_PLACE = re.compile(r"(?<!\{)\{[^{}]+\}(?!\})")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
# The same in both languages.
_ALIKE = {
    "HTTP {status}",
    "[Errno {n:#}] {why:!}",
    "[Errno {n:#}] {why:!}: {path:=}",
    "Value error, {why}",
    ", {spent:#} of {budget:#}",
    "{number:#} (in {words})",
    "{number:#} {word:@}",
    "{word:@}: {item:=}: {message}",
    "{item:=} {patent_pn:=} ({decision} at {at})",
    "id {client_id:=}",
    "key {api_key:=}",
    "Google Drive",
    "Google Photos",
    "Yandex Disk",
    "a JPEG 2000",
    "a JPEG XL",
    "failed, in-doubt, expired, report-failed, report-lost.",
    "--set {field:=}: {texts}",
    "images[{index}].manifest: {text}",
    "images[{index}].path: {text}",
    "images[{index}].manifest: {manifest:=} {text}",
    "api.errors.{name:=}.create: {fault}",
    "is {exc:!}",
    "{size:#} MB",
    " ({st_size:#} MB)",
    "is {replace:@}",
}


def normal(template: str) -> str:
    """Return a template without the names of its places."""
    return Entry(template, "", "").form


def is_sentence(template: str) -> bool:
    """Return whether a text has two words or more, of which a person could read one."""
    bare = normal(template)
    return bool(
        re.search(r"[A-Za-z{}\].,;:)`]\s+[A-Za-z{}\[`(]", bare) and re.search("[A-Za-z]{2}", _PLACE.sub("", template))
    )


def for_people() -> list[Message]:
    return [
        one
        for one in messages()
        if is_sentence(one.template) and not is_not_for_people(one.template, normal(one.template), one.file)
    ]


def is_known(template: str, known: set[str], joined: list[Entry]) -> bool:
    """Return whether a message is an entry, or part of one that joins it with a number, as `count` does."""
    filled = _filled(template)
    return (
        normal(template) in known
        or template.startswith("Example: ")
        or any(entry.values(text) for entry in joined for text in (filled, f"7 {filled}"))
    )


def _filled(template: str) -> str:
    return _PLACE.sub("7", template).replace("{{", "{").replace("}}", "}")


def test_every_message_has_its_chinese() -> None:
    known = {entry.form for entry in dictionary().entries}
    joined = [Entry(english, "", "7") for english in by_room()[JOINED]]
    missing = [one for one in for_people() if not is_known(one.template, known, joined)]
    assert not missing, "\n".join(f"{one.file}:{one.line}: {one.template!r}" for one in missing)


def test_every_entry_belongs_to_a_message_that_is_there() -> None:
    said = {normal(one.template) for one in messages()}
    filled = [_filled(one.template) for one in messages()]
    for room, entries in by_room().items():
        if room in (WORDS, JOINED, LIBRARIES):
            continue
        for english in entries:
            gone = normal(english) not in said and not any(Entry(english, "", "x").values(text) for text in filled)
            assert not gone, f"{room}.json: {english!r}"


def test_the_parts_of_a_joined_message_are_in_the_program() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")).lower()
    for english in by_room()[JOINED]:
        for words in re.findall(r"[A-Za-z][A-Za-z -]+[A-Za-z]", re.sub(r"\{\w+(:.)?\}", "\n", english)):
            assert words.lower() in source or words in dictionary().words, (english, words)


def test_what_is_not_for_people_is_still_there() -> None:
    said = messages()
    for beginning in FILES:
        assert any(one.file.startswith(beginning) for one in said), beginning
    for file, texts in TEXTS.items():
        assert texts <= {normal(one.template) for one in said if one.file == file}, file
    for form in FORMS:
        assert any(re.fullmatch(form, one.template, re.DOTALL) for one in said), form


def test_each_entry_is_said_once_and_says_all_that_the_english_says() -> None:
    seen: dict[str, str] = {}
    for room, entries in by_room().items():
        for english, chinese in entries.items():
            assert room == WORDS or seen.setdefault(english, room) == room, english
            assert _CHINESE.search(chinese) or english in _ALIKE, english
            places = {place.name: place.kind for place in Entry(english, chinese, "x").places}
            used = {place.name for place in Entry(chinese, "", "x").places}
            assert used <= set(places), english
            # A word that only bends with a number has none in Chinese, and nobody needs the number of a system's error.
            assert {name for name in places if name not in used} <= {"are", "is", "them", "have", "more", "n"}, english


def test_places_that_touch_each_other_stand_so_in_chinese() -> None:
    for entry in dictionary().entries:
        for first, second in re.findall(r"\{(\w+)(?::[=&*!])?\}(?=\{(\w+)(?::[=&*!])?\})", entry.english):
            assert f"{{{first}}}{{{second}}}" in entry.chinese, entry.english


def test_no_chinese_word_consoles() -> None:
    for room, entries in by_room().items():
        for english, chinese in entries.items():
            assert not FORBIDDEN_ZH.search(chinese), (room, english)


def test_each_file_of_the_dictionary_is_in_order() -> None:
    for file in Path(PACKAGE, "system", "chinese").glob("*.json"):
        entries = list(json.loads(file.read_text(encoding="utf-8")))
        assert entries == sorted(entries), file.name

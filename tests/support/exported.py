"""Exports of records, as the tests of each format need them."""

from pathlib import Path
from typing import Any

from pipeline.results.decisions import Decision
from pipeline.results.exports.export import CELL, About, Export
from pipeline.results.exports.formats import writer_of
from pipeline.results.exports.selection import Wanted, select
from pipeline.results.survey import Part
from tests.support.report_records import png, surveys

NASTY = {
    "formula": "=cmd|' /C calc'!A0",
    "wide formula": "\uff1d1+1",
    "control": "a\x00b\x07c\x1b[31m",
    "long": "x" * 40_000,
    "zeros": "00042",
    "emoji": "👨‍👩‍👧 😀",
    "RTL": "מנורה \u202eexe.gpj",
    "lines": "two\r\nlines\tand a tab",
    "XML": "<r></r></is></c><c r='Z9'><f>1+1</f></c><c><is><r></r>",
    "quotes": 'a "quoted", text; here',
    "escape": "_x0041_",
}
ALL = Wanted()


def export_of(
    folder: Path,
    *records: dict[str, Any] | bytes,
    wanted: Wanted = ALL,
    per: str | None = None,
    decided: tuple[Decision, ...] = (),
    pictures: str = CELL,
    **about: Any,
) -> Export:
    """An export of these records; each picture has a colour of its own, one called `missing` is not there."""
    surveys(folder, *records)
    selection = select(wanted, [Part(folder / "results.jsonl")], [Part(folder / "open.jsonl")])
    facts = {
        "title": wanted.client or "autumn-portfolio",
        "vendor": "connect.patsnap.com",
        "tool": "pipeline 0.1.0",
        "state": "the run had come to its end",
        "as_of": "2026-11-21T18:00:00.000Z",
        "unfinished": 0,
        "not_looked_at": ["utility models"],
        **about,
    }
    return Export(
        selection=selection,
        decided={one.key: one for one in decided},
        about=About(**facts),
        per=per,
        picture=lambda source, _: None if "missing" in source else png(color=(len(source) * 40 % 256, 90, 90)),
        pictures=pictures,
    )


def written(name: str, folder: Path, *records: dict[str, Any] | bytes, **options: Any) -> Path:
    """The file of an export in a format."""
    path = folder / f"export.{name}"
    with path.open("w+b") as file:
        writer_of(name)(file, export_of(folder, *records, **options))
    return path

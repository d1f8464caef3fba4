"""Remarks about a workbook: what is in it and is not taken, or is taken although nobody sees it."""

import contextlib
import json
from collections.abc import Iterator

import python_calamine as calamine

from pipeline.errors import SpecError
from pipeline.job.checks import WORKBOOK_ENDINGS
from pipeline.job.images import ImageEntry
from pipeline.job.schema import JobSpec
from pipeline.sources.archives import BadArchive
from pipeline.sources.tables import locate_manifest
from pipeline.sources.workbook_findings import TooLarge
from pipeline.sources.workbook_rows import chosen_sheet, open_workbook
from pipeline.sources.workbook_xlsx import look_through
from pipeline.system.wording import count, listed

_NAMED = 3


def workbook_remarks(spec: JobSpec) -> list[str]:
    """Tell of other sheets, hidden rows, pictures and formulas in the workbooks of a job."""
    found = []
    for index, entry in enumerate(spec.images):
        if entry.manifest is not None and entry.manifest.lower().endswith(WORKBOOK_ENDINGS):
            with contextlib.suppress(SpecError, OSError, BadArchive, TooLarge):  # whoever reads its rows says so
                found += [f"images[{index}].manifest: {entry.manifest} {text}" for text in _texts(spec, entry)]
    return found


def _texts(spec: JobSpec, entry: ImageEntry) -> Iterator[str]:
    file = locate_manifest(spec, entry)
    with open_workbook(file) as book:
        name = chosen_sheet(book, file, entry)
        sheets = [one for one in book.sheets_metadata if one.typ == calamine.SheetTypeEnum.WorkSheet]
    parts = look_through(file, name)
    others = [one.name for one in sheets if one.name != name]
    if others and entry.sheet is None:
        hidden = sum(one.visible != calamine.SheetVisibleEnum.Visible for one in sheets)
        also = f" ({count(hidden, 'of them is', 'of them are')} hidden)" if hidden else ""
        yield (
            f"has {count(len(sheets), 'sheet')}{also}; {name!r} is read. To read another, write "
            f"`sheet: {json.dumps(others[0], ensure_ascii=False)}`; the others: {listed(list(map(repr, others)))}"
        )
    if parts.pictures:
        names = listed([one.rpartition("/")[2] for one in parts.pictures], _NAMED)
        yield (
            f"has {count(len(parts.pictures), 'picture')} in or over its cells ({names}), which cannot be taken from "
            "there: save them as files and name them in a column `path`, or list their URLs"
        )
    if parts.hidden:
        rows = count(parts.hidden, "row is", "rows are")
        yield f"has hidden rows: {rows} not shown, by a filter perhaps, but taken; delete what is not meant"
    if parts.formulas:
        formulas = count(parts.formulas, "formula")
        yield f"has {formulas} without a value: open it in a spreadsheet program and save it, so that they have one"
    if file.name.lower().endswith(".xls"):
        yield (
            "is an .xls, which does not tell here how numbers are shown, nor of pictures and hidden rows in it: an id "
            "00042 that is a number is read as 42; to keep its zeros, save it as .xlsx"
        )

"""The sheets of a workbook that are read: what was not looked at, and what the workbook is."""

from typing import Any

from pipeline.results.cells import looks_like_formula
from pipeline.results.exports.columns import Column
from pipeline.results.exports.export import CELL, NO_PICTURES, Export, Written
from pipeline.results.exports.sheet import fit, prepare_print
from pipeline.results.exports.sheet_formats import Formats
from pipeline.results.exports.texts import ADVICE, REHEARSAL, SANDBOX
from pipeline.system.wording import count

_WIDE = 100


class _Page:
    """A sheet of two columns."""

    def __init__(self, book: Any, name: str, export: Export) -> None:
        self._sheet, self._formats, self._row = book.add_worksheet(name), Formats(book), 0
        self._sheet.set_column(0, 0, 28)
        self._sheet.set_column(1, 1, _WIDE)
        prepare_print(self._sheet, export)

    def title(self, text: str) -> None:
        """Write a title, behind an empty row where something stands above."""
        self._row += 1 if self._row else 0
        self._sheet.write_string(self._row, 0, fit(text, 200), self._formats.title)
        self._row += 1

    def line(self, name: str, text: str) -> None:
        """Write a line."""
        if not text:
            return
        text = fit(text)
        self._sheet.write_string(self._row, 0, fit(name, 200), self._formats.strong)
        style = self._formats.quoted if looks_like_formula(text) else self._formats.text
        self._sheet.write_string(self._row, 1, text, style)
        self._row += 1


def write_not_looked_at(book: Any, export: Export) -> None:
    """Write what the run left out of sight, and what this workbook leaves out of the run."""
    page, about, wanted = _Page(book, "Not looked at", export), export.about, export.selection.wanted
    page.title("Not looked at by the search")
    for number, phrase in enumerate(about.not_looked_at, start=1):
        page.line(str(number), phrase)
    if not about.not_looked_at:
        page.line("", "nothing is known that the search was told to leave out")
    if about.unfinished:
        page.line(
            "Without a result", count(about.unfinished, "product has", "products have") + " none yet, and no reason"
        )
    page.title("In the run, and not in this workbook")
    page.line("Hits", "" if wanted.least is None else f"those with a score below {wanted.least:g}, or without one")
    page.line("Products", "" if wanted.least is None else f"those without a hit at or above {wanted.least:g}")
    page.line("Status", "" if not wanted.statuses else f"products that are not {', '.join(sorted(wanted.statuses))}")
    page.line(
        "Further hits", "the sheet Hits has the most alike of each product, not all" if export.per is None else ""
    )


def write_about(book: Any, export: Export, columns: dict[str, list[Column]], written: Written) -> None:
    """Write what the workbook is, as of when, and what each column is."""
    page, about = _Page(book, "About", export), export.about
    page.title(about.title)
    page.line("What it is", ADVICE)
    page.line("Practice", SANDBOX if about.vendor == "sandbox" else "")
    page.line("Rehearsal", REHEARSAL if about.rehearsal else "")
    page.line("Searched at", about.vendor)
    page.line("As of", f"{about.as_of[:16].replace('T', ' ')} UTC; {about.state}. Times here are in UTC.")
    page.line("Run", about.run)
    page.line("Compared with", about.before)
    page.line("Products", export.counts)
    page.line("In this workbook", f"{count(written.products, 'product')}, {count(written.hits, 'hit')}")
    for remark in written.remarks:
        page.line("", remark[0].upper() + remark[1:] + ".")
    page.line("Pictures", _pictures(export))
    page.line(
        "Decisions",
        "Choose watch, escalate or dismiss in the column Decision and write a note if you like; save the workbook, "
        "then `pipeline decisions RUN FILE` takes what you changed. An emptied decision is taken back.",
    )
    page.line("Made by", about.tool)
    for name, listed in columns.items():
        page.title(f"Columns of {name}")
        for column in listed:
            page.line(column.heading, column.about)


def _pictures(export: Export) -> str:
    if export.pictures == NO_PICTURES:
        return "none were asked for (--pictures none)"
    if export.pictures == CELL:
        return (
            "They stand in their cells, and are sorted and filtered with them. Excel for Microsoft 365 since 2023, "
            "Excel 2024 and Excel on the web show them; before Excel 365/2023 such a cell shows #VALUE!: make the "
            "workbook with --pictures float instead."
        )
    return (
        "They float over their cells, for programs that show no pictures in cells; sorting leaves them where they are."
    )

"""A workbook (.xlsx) by XlsxWriter: products and hits with pictures and a decision to choose, row by row."""

from typing import Any, BinaryIO

from pipeline.results.exports.columns import Column
from pipeline.results.exports.export import CELL, FLOAT, HIT, PRODUCT, Export, Written
from pipeline.results.exports.picture_parts import Book, add_pictures
from pipeline.results.exports.pictures import Pictures
from pipeline.results.exports.sheet import ROW_PX, Table
from pipeline.results.exports.sheet_formats import Formats
from pipeline.results.exports.sheets_of_text import write_about, write_not_looked_at
from pipeline.system.folders import temporary_folder
from pipeline.system.wording import count

HITS_EACH = 5  # of a product, where nobody says how many: nobody looks through a hundred in a workbook
PICTURED = 10_000  # products with pictures; a workbook with more of them opens badly
# Excel counts how far down a floating picture is in units of 1/9525 pixel and 31 bits; further ones pile up there.
_FLOATING = 2**31 // 9525 // ROW_PX - 2

_PICTURE = Column("picture", "Picture", "the product's picture in your list", width=14)
_DESIGN = Column("design", "Most alike", "the picture of the most alike of its hits", width=14)
# Columns of hits that say of each what the sheet Products says once.
_WITH_PRODUCTS = ("status", "task_id", "task_expires_at", "searched_at", "endpoint", "source", "same_as")
_OPTIONS = {
    "constant_memory": True,  # a row at a time
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "nan_inf_to_errors": True,
}


def write_xlsx(file: BinaryIO, export: Export) -> Written:
    """Write the sheets; the rows of a sheet go on in another one where Excel has no more."""
    with temporary_folder() as folder:
        book = Book(file, {**_OPTIONS, "tmpdir": str(folder)})
        book.set_properties({"title": export.about.title, "comments": "Not legal advice."})
        written, columns = _tables(book, export)
        write_not_looked_at(book, export)
        write_about(book, export, columns, written)
        book.close()
        add_pictures(book, file)
    return written


def _tables(book: Any, export: Export) -> tuple[Written, dict[str, list[Column]]]:
    wanted, formats = export.selection.wanted, Formats(book)
    shown: dict[str, list[Column]] = {}
    products = hits = None
    most = {CELL: PICTURED, FLOAT: _FLOATING}.get(export.pictures, 0)
    if export.per != HIT:
        shown["Products"] = _with_pictures(export.columns(PRODUCT), pictured=most > 0)
        products = Table(book, "Products", shown["Products"], formats, export)
    if export.per != PRODUCT:
        said = () if products is None else _WITH_PRODUCTS if export.about.practice else (*_WITH_PRODUCTS, "vendor")
        shown["Hits"] = [one for one in export.columns(HIT) if one.name not in said]
        hits = Table(book, "Hits", shown["Hits"], formats, export)
    top = (wanted.top or HITS_EACH) if hits is not None else 1
    pictures = Pictures(export.picture)
    found = export.selection.records(top=top)
    for one in pictures.beside(found, most=most if products is not None else 0, hits=1):
        if products is not None:
            best = one.hits[0] if one.hits else None
            products.add(
                export.of_product(one.record, best), {"picture": one.product, "design": next(iter(one.of_hits), None)}
            )
        if hits is not None:
            for row in export.of_hits(one.record, one.hits):
                hits.add(row, {})
    rows = [0 if table is None else table.end() for table in (products, hits)]
    return Written(rows[0], rows[1], tuple(_remarks(rows[0], most, export, top=top, hits=hits is not None))), shown


def _with_pictures(columns: list[Column], *, pictured: bool) -> list[Column]:
    """Put the columns of pictures where people look for them: behind the product, and before its design."""
    if not pictured:
        return columns
    before = {"status": _PICTURE, "score": _DESIGN}
    return [one for column in columns for one in (before.get(column.name), column) if one is not None]


def _remarks(rows: int, most: int, export: Export, *, top: int, hits: bool) -> list[str]:
    found = []
    if 0 < most < rows:
        why = (
            "Excel has no room for more floating ones"
            if export.pictures == FLOAT
            else "a workbook with more opens badly"
        )
        found.append(f"the first {count(most, 'product')} of {rows:,}, the most alike, have pictures: {why}")
    if hits and export.selection.wanted.top is None:
        found.append(f"the sheet Hits has the {top} most alike of each product; --top 100 writes more")
    return found

"""Workbooks as files, written part by part, so that a test can have what programs write, and worse."""

import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELS = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_HIDDEN = ' state="hidden"'
_ODF = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
)
STYLES = ("General", "00000", '"SKU-"000', "0.00", "yyyy-mm-dd", "0.0%", "000-000")  # by the style of a cell


def cell(place: str, value: object, style: int = 0) -> str:
    """Write a cell of an .xlsx: a number, or text."""
    if isinstance(value, int | float):
        return f'<c r="{place}" s="{style}"><v>{value}</v></c>'
    return f'<c r="{place}" s="{style}" t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


def rows_of(table: list[list[object]], *, first: int = 1, styles: dict[int, int] | None = None) -> str:
    """Write the rows of an .xlsx sheet, from row `first`; None is an empty cell, `styles` are those of columns."""
    written = []
    for number, row in enumerate(table, first):
        cells = (
            cell(f"{'ABCDEFGHIJ'[at]}{number}", value, (styles or {}).get(at, 0))
            for at, value in enumerate(row)
            if value is not None
        )
        written.append(f'<row r="{number}">{"".join(cells)}</row>')
    return "".join(written)


def write_xlsx(
    path: Path,
    *sheets: tuple[str, str],
    more: str = "",
    hidden: tuple[str, ...] = (),
    files: dict[str, bytes] | None = None,
) -> Path:
    """Write an .xlsx of sheets, each a name and its rows; `more` follows the rows of each."""
    formats = "".join(
        f'<numFmt numFmtId="{200 + at}" formatCode="{escape(code, {chr(34): "&quot;"})}"/>'
        for at, code in enumerate(STYLES)
    )
    styles = "".join(f'<xf numFmtId="{200 + at if at else 0}"/>' for at in range(len(STYLES)))
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships {_RELS}><Relationship Id="r" Type="{_OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/styles.xml": f"<styleSheet {_MAIN}><numFmts>{formats}</numFmts><cellXfs>{styles}</cellXfs></styleSheet>",
        "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_OFFICE}"><sheets>'
        + "".join(
            f'<sheet name="{escape(name)}" sheetId="{at}" r:id="r{at}"{_HIDDEN * (name in hidden)}/>'
            for at, (name, _) in enumerate(sheets, 1)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f"<Relationships {_RELS}>"
        + "".join(
            f'<Relationship Id="r{at}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{at}.xml"/>'
            for at in range(1, len(sheets) + 1)
        )
        + "</Relationships>",
    }
    for at, (_, rows) in enumerate(sheets, 1):
        parts[f"xl/worksheets/sheet{at}.xml"] = f"<worksheet {_MAIN}><sheetData>{rows}</sheetData>{more}</worksheet>"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
        for name, data in (files or {}).items():
            archive.writestr(name, data)
    return path


def write_ods(path: Path, *sheets: tuple[str, str]) -> Path:
    """Write an .ods of sheets, each a name and its rows as ODF has them."""
    tables = "".join(f'<table:table table:name="{name}">{rows}</table:table>' for name, rows in sheets)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "META-INF/manifest.xml",
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        )
        archive.writestr(
            "content.xml",
            f"<office:document-content {_ODF}><office:body><office:spreadsheet>{tables}"
            "</office:spreadsheet></office:body></office:document-content>",
        )
    return path


def ods_cell(shown: str, value: float | None = None, more: str = "") -> str:
    """Write a cell of an .ods: what it shows, and its number if it is one."""
    kind = f'office:value-type="float" office:value="{value}"' if value is not None else 'office:value-type="string"'
    return f"<table:table-cell {kind} {more}><text:p>{escape(shown)}</text:p></table:table-cell>"

"""Bytes of a manifest to text: a byte order mark wins over what the job says, and a superset helps where a job names
the subset, as everyone does whose program calls cp932 "Shift JIS".
"""

import codecs

from pipeline.errors import SpecError
from pipeline.picture_formats import JPG_BEGIN, PNG_BEGIN
from pipeline.system.fault import Fault

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What is tried for bytes that are no text of the encoding named; what the encoding itself can read stays as it was.
_SUPERSETS = {
    "gbk": ("gb18030",),
    "big5": ("cp950", "big5hkscs"),
    "cp950": ("big5hkscs",),
    "shift_jis": ("cp932",),
    "euc-kr": ("cp949",),
}
_EURO_IN_CP936 = b"\x80"
_LONGEST = 4  # bytes of a character in any of them

_BY_ITS_NAME = "call it by its right ending in `manifest:`, or save it as `CSV UTF-8 (*.csv)`"
_PICTURE = "list pictures with `path:`, for example `path: photos/*.jpg`"
_OTHER_FILES = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another zip file", _BY_ITS_NAME),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", _BY_ITS_NAME),
    (b"%PDF", "a PDF", "a manifest is a table: one row a picture, with a column url or path"),
    (b"\x1f\x8b", "a gzip file", "unpack it first"),
    (JPG_BEGIN, "a JPG picture", _PICTURE),
    (PNG_BEGIN, "a PNG picture", _PICTURE),
)
_OFFICE_XML = b"<?mso-application"
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<body")


def encoding_of(head: bytes, named: str) -> str:
    """Return the encoding of a file that begins with `head`, for which the job names `named`."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    pairs = head[: len(head) // 2 * 2]
    if named == "utf-8" and len(pairs) >= 4:
        if not any(pairs[1::2]) and all(pairs[::2]):
            return "utf-16-le"
        if not any(pairs[::2]) and all(pairs[1::2]):
            return "utf-16-be"
    if named == "utf-16":  # without a mark, which Python wants: most machines write the low byte first
        return "utf-16-be" if pairs[::2].count(0) > pairs[1::2].count(0) else "utf-16-le"
    return named


def refuse_other_files(head: bytes, file: object) -> None:
    """Raise SpecError when a file that begins with `head` is no text: it says what it is instead."""
    begins = head.lstrip(codecs.BOM_UTF8 + b" \t\r\n").lower()
    for magic, what, advice in _OTHER_FILES:
        if head.startswith(magic):
            raise SpecError(Fault(f"this is {what}, whatever its name says; {advice}", where=str(file)))
    if begins.startswith(_PAGES):
        what = (
            "this is a web page, not a table: a download that was refused or needs a login saves such a page; open it "
            "in a browser to see why, then save the table itself. If it is the table, as some programs export it, open "
            "it in a spreadsheet program and save it as .xlsx"
        )
        if _OFFICE_XML in begins:
            what = "this is a workbook saved as XML; open it in a spreadsheet program and save it as .xlsx"
        raise SpecError(Fault(what, where=str(file)))


def error_handler(encoding: str) -> str:
    """Return the name of the handler that reads what `encoding` cannot; what nothing reads stays a marked byte."""
    name = f"pipeline-manifest-{encoding}"
    supersets = _SUPERSETS.get(encoding, ())
    step = {"utf-16": 2, "utf-32": 4}.get(encoding[:6], 1)

    def handle(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        at = error.start
        for superset in supersets:
            for length in range(_LONGEST, 0, -1):
                try:
                    return error.object[at : at + length].decode(superset)[:1], at + _width(error, at, superset)
                except UnicodeDecodeError:
                    continue
        if encoding in ("gbk", "gb18030") and error.object[at : at + 1] == _EURO_IN_CP936:
            return "€", at + 1
        return chr(0xDC00 + error.object[at]), min(at + step, len(error.object))

    codecs.register_error(name, handle)
    return name


def _width(error: UnicodeDecodeError, at: int, encoding: str) -> int:
    """Return how many bytes the first character takes that stands at `at`."""
    for length in range(1, _LONGEST + 1):
        try:
            if error.object[at : at + length].decode(encoding):
                return length
        except UnicodeDecodeError:
            continue
    return 1

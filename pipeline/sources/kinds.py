"""Kinds of files that people list as pictures, told by their first bytes, and what to do with each."""

import re

from pipeline.system.wording import count

_AS_JPG = "open it in a picture program and save it as JPG"
FIT = "upload: {public: true, fit: true}"  # what a job says to have its pictures made fit
_FITS = f"write `{FIT}` to send it as a JPG or PNG, or save it as one"
_LEAVE_OUT = "leave it out of the list"
_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"hevc": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC"}
_BRANDS |= {b"avif": "AVIF", b"avis": "AVIF"}
_BEGINS = (
    (b"GIF8", "a GIF", _FITS),
    (b"BM", "a BMP", _FITS),
    (b"II*\0", "a TIFF", _FITS),
    (b"MM\0*", "a TIFF", _FITS),
    (b"8BPS", "a Photoshop file", _AS_JPG),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000", _AS_JPG),
    (b"\xff\x0a", "a JPEG XL", _AS_JPG),
    (b"%PDF", "a PDF", "export its page as JPG"),
    (b"PK\x03\x04", "a zip file or an office document", "unpack it, or export its pictures"),
    (b"\x1f\x8b", "a gzip file", "unpack it"),
    (b"\0\x05\x16\x07", "what macOS puts beside a picture (._name), and no picture", _LEAVE_OUT),
    (b"\0\0\0\x01Bud1", "a .DS_Store of macOS, and no picture", _LEAVE_OUT),
    (b"\xd0\xcf\x11\xe0", "a Thumbs.db or an old office document, and no picture", _LEAVE_OUT),
)
_DAMAGED = "copy or download it again"


def describe_undecoded(data: bytes, *, has_heif: bool) -> str:
    """Say what a file is that would be made fit, and cannot be decoded here, to follow on "the picture "."""
    what, _, advice = describe(data).partition("; ")
    if advice != _FITS:
        return f"{what}; {advice}"
    if " HEIC" in what and not has_heif:
        return "is HEIC, which needs a library of its own: pip install 'infringement-pipeline[heic]'"
    return f"{what.partition(',')[0]} that is cut off, damaged, or of a kind that is not decoded here; {_DAMAGED}"


def describe(data: bytes) -> str:
    """Say what a file is that cannot be read as a JPG or PNG, and what to do, to follow on "the picture "."""
    if not data.strip(b"\0"):
        what = f"holds {count(len(data), 'zero byte')}" if data else "is empty (0 bytes)"
        return f"{what}; {_DAMAGED}"
    for begin, kind in ((b"\xff\xd8\xff", "JPG"), (b"\x89PNG\r\n\x1a\n", "PNG")):
        if data.startswith(begin):
            return f"is a {kind} that is cut off or damaged ({count(len(data), 'byte')}); {_DAMAGED}"
    if data[4:8] == b"ftyp" and (brand := _BRANDS.get(data[8:12])):
        return f"is {brand}, which the vendor does not take; {_FITS}"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return f"is WebP, which the vendor does not take; {_FITS}"
    for begin, kind, advice in _BEGINS:
        if data.startswith(begin):
            return f"is {kind}; {advice}"
    text = data[:2000].decode("utf-8", "replace").lower().lstrip("\ufeff \t\r\n")
    if "<svg" in text:
        return f"is an SVG drawing; {_AS_JPG}"
    if re.match(r"<(!doctype html|html|head|body)", text):
        return "is a web page, as a download saves it that was refused or needs a login; download the picture itself"
    return f"is no readable JPG or PNG; {_AS_JPG}"

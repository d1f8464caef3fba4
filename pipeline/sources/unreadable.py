"""Files that are listed as pictures and cannot be read as such: what each is, and what to do with it."""

import re
from typing import NamedTuple

from pipeline.picture_formats import HEIC, recognized
from pipeline.system.wording import count

_AS_JPG = "open it in a picture program and save it as JPG"
FIT = "upload: {public: true, fit: true}"  # what a job says to have its pictures made fit
_FITS = f"write `{FIT}` to send it as a JPG or PNG, or save it as one"
_LEAVE_OUT = "leave it out of the list"
_BEGINS = (
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


class Unreadable(NamedTuple):
    """A file that cannot be read as a picture.

    what      it is, to follow on "the picture "
    advice    what to do; "" where `what` says it
    fit_helps True where it is a picture that `upload.fit` sends as another kind
    """

    what: str
    advice: str = ""
    fit_helps: bool = False

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.what, self.advice)))


def describe(data: bytes) -> Unreadable:
    """Say what a file is that cannot be read as a kind that the vendor takes."""
    if not data.strip(b"\0"):
        return Unreadable(f"holds {count(len(data), 'zero byte')}" if data else "is empty (0 bytes)", _DAMAGED)
    known = recognized(data)
    if known is not None and known.sent_as:
        size = count(len(data), "byte")
        return Unreadable(f"is {known.article}{known.name} that is cut off or damaged ({size})", _DAMAGED)
    if known is not None:
        return Unreadable(f"is {known.article}{known.name}, which the vendor does not take", _FITS, fit_helps=True)
    for begin, kind, advice in _BEGINS:
        if data.startswith(begin):
            return Unreadable(f"is {kind}", advice)
    text = data[:2000].decode("utf-8", "replace").lower().lstrip("\ufeff \t\r\n")
    if "<svg" in text:
        return Unreadable("is an SVG drawing", _AS_JPG)
    if re.match(r"<(!doctype html|html|head|body)", text):
        what = "is a web page, as a download saves it that was refused or needs a login"
        return Unreadable(what, "download the picture itself")
    return Unreadable("is no readable JPG or PNG", _AS_JPG)


def describe_undecoded(data: bytes, *, has_heif: bool) -> Unreadable:
    """Say what a file is that would be made fit, and cannot be decoded here."""
    known = recognized(data)
    if known is None or known.sent_as:
        return describe(data)
    if known is HEIC and not has_heif:
        return Unreadable("is HEIC, which needs a library of its own: pip install 'infringement-pipeline[heic]'")
    what = f"is {known.article}{known.name} that is cut off, damaged, or of a kind that is not decoded here"
    return Unreadable(what, _DAMAGED)

"""A PDF by typst: a page header, each product beside its most alike designs, and page numbers."""

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from itertools import islice
from math import floor
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import typst

from pipeline.errors import SpecError
from pipeline.results.cells import visible
from pipeline.results.exports.columns import LABEL, Row
from pipeline.results.exports.export import Export, Written
from pipeline.results.exports.pictures import Pictured, Pictures
from pipeline.results.exports.texts import ADVICE, PRACTICE, REHEARSAL, SANDBOX
from pipeline.system.fault import Fault
from pipeline.system.folders import temporary_folder
from pipeline.system.wording import count

MOST = 500  # products: typst keeps a document and its decoded pictures in memory, a megabyte each
HITS = 5  # of a product, side by side
_SANS = ("Noto Sans", "Liberation Sans", "DejaVu Sans", "Arial", "Libertinus Serif")
_CJK = (
    *("noto sans cjk", "noto serif cjk", "source han", "wenquanyi", "droid sans fallback", "ar pl", "simsun", "simhei"),
    *("microsoft yahei", "pingfang", "heiti", "songti", "hiragino", "ms gothic", "yu gothic", "malgun"),
)
_CJK_LETTERS = (("\u3040", "\u30ff"), ("\u3400", "\u9fff"), ("\uac00", "\ud7a3"), ("\uf900", "\ufaff"))
_DOCUMENT = "document.typ"


def write_pdf(file: BinaryIO, export: Export) -> Written:
    """Write the products, most alike first. Raises SpecError where a font for Chinese or its neighbours is missing."""
    fonts = typst.Fonts()
    with temporary_folder() as place:
        data, remarks = _data(export, place)
        text = msgspec.json.encode(data)
        data["fonts"] = _fonts(fonts, text.decode())
        (place / "data.json").write_bytes(msgspec.json.encode(data))
        template = files("pipeline.results.exports").joinpath(_DOCUMENT).read_text(encoding="utf-8")
        (place / _DOCUMENT).write_text(template, encoding="utf-8")
        made = typst.compile(place / _DOCUMENT, root=place, font_paths=fonts, format="pdf")
    file.write(made)
    shown = data["products"]
    return Written(len(shown), sum(len(one["hits"]) for one in shown), tuple(remarks))


def _fonts(fonts: Any, text: str) -> list[str]:
    """Choose fonts that are here. Raises SpecError where the text needs one that is not."""
    here = list(fonts.families())
    found = [name for name in _SANS if name in here]
    cjk = [name for name in here if name.lower().startswith(_CJK)]
    if not cjk and any(first <= char <= last for char in set(text) for first, last in _CJK_LETTERS):
        what = "there are Chinese, Japanese or Korean letters in it, and no font that has them is installed here"
        raise SpecError(Fault(what, where="--to pdf", fix="apt-get install fonts-noto-cjk"))
    return [*found, *cjk[:3]]


def _data(export: Export, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return what the document shows, with its pictures as files in a folder."""
    about = export.about
    top = min(export.selection.wanted.top or HITS, HITS)
    pictures = Pictures(export.picture)
    found = pictures.beside(export.selection.records(top=top), most=MOST, hits=HITS)
    products = [_product(one, export, folder) for one in islice(found, MOST)]
    more = sum(1 for _ in found)
    remarks = [f"the first {MOST:,} products, the most alike, are in it, {more:,} more are not; --min 0.9 chooses"]
    said = [remark[0].upper() + remark[1:] + "." for remark in remarks if more]
    data = {
        "title": visible(about.title, 80),
        "practice": PRACTICE if about.practice else "",
        "as_of_day": about.as_of[:10],
        "footer": "Not legal advice",
        "about": [*_about(export, len(products)), *said],
        "not_looked_at": [visible(phrase, 400) for phrase in _not_looked_at(export)],
        "products": products,
    }
    return data, remarks if more else []


def _about(export: Export, products: int) -> Iterator[str]:
    about, wanted = export.about, export.selection.wanted
    yield ADVICE
    if about.vendor == "sandbox":
        yield SANDBOX
    if about.rehearsal:
        yield REHEARSAL
    yield visible(f"Searched at {about.vendor}. As of {about.as_of[:16].replace('T', ' ')} UTC: {about.state}.", 400)
    yield visible(f"{count(products, 'product')}: {export.counts}.", 400)
    if about.before:
        yield visible(f"Compared with {about.before}.", 400)
    if wanted.least is not None:
        yield f"Only designs with a score of at least {wanted.least:g}, and products that have one."
    if wanted.statuses:
        yield f"Only products that are {', '.join(sorted(wanted.statuses))}."


def _not_looked_at(export: Export) -> Iterator[str]:
    yield from export.about.not_looked_at or ["nothing is known that the search was told to leave out"]
    if export.about.unfinished:
        yield count(export.about.unfinished, "product has", "products have") + " no outcome yet, and is not shown here"


def _product(one: Pictured, export: Export, folder: Path) -> dict[str, Any]:
    row = export.of_product(one.record, one.hits[0] if one.hits else None)
    labels = [f"{name.removeprefix(LABEL)}: {value}" for name, value in row.items() if name.startswith(LABEL) and value]
    hits = list(export.of_hits(one.record, one.hits))
    return {
        "item": visible(one.record.item, 60),
        "picture": _file(one.product, folder),
        "lines": [visible(text, 60) for text in (*labels[:4], one.record.status.replace("_", " "))],
        "said": visible(_said(row, len(hits)), 600),
        "hits": [
            _hit(hit, _file(picture, folder))
            for hit, picture in zip(hits, _padded(one.of_hits, len(hits)), strict=True)
        ],
    }


def _padded(pictures: list[bytes | None], number: int) -> list[bytes | None]:
    return (pictures + [None] * number)[:number]


def _said(row: Row, shown: int) -> str:
    if row.get("reason"):
        return f"Open: {row['reason']}"
    if not shown:
        return "No hits to show."
    notes = f"Note: {row['note']}" if row.get("note") else ""
    found = row.get("hits_at_vendor")
    more = f"{shown} of {found:,} hits are shown. " if isinstance(found, int) and found > shown else ""
    change = str(row.get("change") or "")
    before = f"{change[0].upper()}{change[1:]}. " if change.endswith(" before") else ""
    gone = f"Not found any more: {row['hits_gone']}. " if row.get("hits_gone") else ""
    return f"{more}{before}{gone}{notes}"


def _hit(row: Row, picture: str | None) -> dict[str, Any]:
    score = row.get("score")
    status = " ".join(str(row[name]) for name in ("legal_status", "country") if row.get(name))
    ends = f"expected end {row['expected_end']}" if row.get("expected_end") else ""
    level = f"The vendor writes: “{row['vendor_writes_level']}”" if row.get("vendor_writes_level") else ""
    change = {"new": "new", "risen": f"was {row.get('score_before') or 0:.4f}"}.get(str(row.get("change")), "")
    lines = [(row.get("patent_pn") or "no patent number", True), (row.get("owner"), False), (status, False)]
    lines += [(ends, False), (level, False)]
    return {
        "picture": picture,
        "number": visible(str(row.get("patent_pn") or ""), 40),
        "score": "" if not isinstance(score, float | int) else f"{floor(score * 10_000 + 1e-6) / 10_000:.4f}",
        "change": change,
        "decision": str(row.get("decision") or ""),
        "lines": [{"text": visible(str(text), 60), "strong": strong} for text, strong in lines if text],
    }


def _file(picture: bytes | None, folder: Path) -> str | None:
    """Write a picture beside the document, once; return its name."""
    if picture is None:
        return None
    name = f"{hashlib.sha256(picture).hexdigest()}.jpg"
    if not (folder / name).exists():
        (folder / name).write_bytes(picture)
    return name

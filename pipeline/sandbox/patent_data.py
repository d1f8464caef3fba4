"""Data of patents, as D301 and P014 send them: in Chinese, out of order, with fields that are absent or null.

The vendor's page shows one example, so the sandbox is harder than it: about one patent in twelve is not found, owners,
estimates and statuses are missing here and there, and the ids of families lie now inside `patent_family`, now beside.
What is missing of a patent is the same on every machine.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.sandbox.envelope import INVALID_PARAMETER, Refused
from pipeline.sandbox.patents import Patent
from pipeline.sandbox.validate import PatentsAsked

_STATUS = {"1": "有效", "0": "失效", "2": "审中"}
_ODD_STATUS = "未确认"  # a word that no client knows
_TERM_YEARS = {"US": 15, "EU": 25, "CN": 15, "JP": 25, "KR": 20}
_DRAWINGS = 7
_OUT_OF = 12  # of so many patents one is not found, and one each lacks a field


def found_among(asked: PatentsAsked, find: Callable[[str], Patent | None]) -> list[Patent]:
    """Return the patents that are known of those asked for, in an order of the vendor's own; by number none is."""
    known = {id_: find(id_) for id_ in asked.asked} if asked.patent_id else {}
    found = [patent for patent in known.values() if patent is not None and _odd(patent) != 0]
    return sorted(found, key=lambda patent: patent.patent_pn)


def refuse_among(asked: Sequence[str], share: float) -> None:
    """Refuse a call that names a patent of the refused ones, and do not say which. Raises Refused."""
    if share and any(is_refused(patent_id, share) for patent_id in asked):
        raise Refused(INVALID_PARAMETER)


def is_refused(patent_id: str, share: float) -> bool:
    """Return whether a patent is one of the `share` of all that are refused."""
    return int.from_bytes(hashlib.sha256(f"refused {patent_id}".encode()).digest()[:8], "big") < share * 2**64


def detail_of(patent: Patent) -> dict[str, Any]:
    """Describe a patent as D301 does."""
    pending = patent.simple_legal_status == "2"
    term = _TERM_YEARS.get(patent.country, 15) * 10_000
    data: dict[str, Any] = {
        "pn": patent.patent_pn,
        "patent_id": patent.patent_id,
        "title": patent.title_cn if patent.country == "CN" else patent.title,
        "title_cn": patent.title_cn,
        "patent_type": "外观设计",
        "simple_legal_status": _STATUS[patent.simple_legal_status],
        "registration_country": patent.country,
        "application_date": patent.apdt,
        "publication_date": patent.pbdt,
        "grant_date": None if pending else patent.pbdt,
        "expiration_date": patent.apdt + term,
        "current_assignee": patent.current_assignee,
        "original_assignee": patent.original_assignee,
        "images": [{"path": _link(patent, at), "image_type": "drawing"} for at in range(1, _DRAWINGS + 1)],
        "classification_data": [{"category_type": "LOC", "category": [patent.loc]}],
    }
    match _odd(patent):
        case 1:
            del data["current_assignee"]
        case 2:
            data["expiration_date"] = None
        case 3:
            data["simple_legal_status"] = _ODD_STATUS
        case 4:
            data |= {"images": None, "classification_data": None}
        case _:
            pass
    return data


def family_of(patent: Patent) -> dict[str, Any]:
    """Describe the families of a patent as P014 does."""
    number = 1 + int.from_bytes(hashlib.sha256(patent.family.encode()).digest()[:4], "big") % 2**31
    members = [{"kind": "S", "country": patent.country, "sequence": 1, "doc_number": patent.patent_pn}]
    families: dict[str, Any] = dict.fromkeys(("simple_family", "inpadoc_family", "patsnap_family"), members)
    ids = dict.fromkeys(("simple_family_id", "inpadoc_family_id", "patsnap_family_id"), number)
    data = {"pn": patent.patent_pn, "patent_id": patent.patent_id}
    if _odd(patent) % 2:
        return {**data, "patent_family": families | ids}
    return {**data, "patent_family": families, **ids}


def _odd(patent: Patent) -> int:
    """Return a number below _OUT_OF that says what is odd about a patent's data."""
    return hashlib.sha256(f"data of {patent.patent_id}".encode()).digest()[0] % _OUT_OF


def _link(patent: Patent, number: int) -> str:
    return f"https://data.sandbox.invalid/{patent.patent_pn}/{number}.png?sign=0"

"""The patent behind each gallery drawing: invented, plausible, the same for the same file name on every machine.

A drawing is named `<kind>-<design>-<number>`. The drawings of one design are one family: the same title, inventors and
assignee, filed with different authorities within the six months of priority that design law grants. Everything comes
from hashes of the name, so that no table is needed beside the pictures.
"""

import hashlib
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

Choice = TypeVar("Choice")

# Kind of product -> (LOC code, titles, title in Chinese)
_KINDS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "phone": ("14-03", ("Mobile phone", "Smartphone", "Mobile communication terminal"), "手机"),
    "chair": ("06-01", ("Chair", "Dining chair", "Stacking chair"), "椅子"),
    "bottle": ("09-01", ("Bottle", "Drinking bottle", "Bottle with cap"), "水瓶"),
    "lamp": ("26-05", ("Table lamp", "Lamp", "Bedside lamp"), "台灯"),
    "mug": ("07-01", ("Mug", "Coffee mug", "Drinking cup with handle"), "马克杯"),
    "shoe": ("02-04", ("Sports shoe", "Shoe", "Article of footwear"), "运动鞋"),
    "watch": ("10-02", ("Wristwatch", "Smart watch", "Watch"), "手表"),
    "headphones": ("14-01", ("Headphones", "Wireless headset", "Over-ear headphones"), "头戴式耳机"),
    "glasses": ("16-06", ("Eyeglasses", "Spectacle frame", "Sunglasses"), "眼镜"),
    "kettle": ("07-02", ("Electric kettle", "Kettle", "Water kettle"), "电热水壶"),
    "vase": ("11-02", ("Vase", "Flower vase", "Decorative vase"), "花瓶"),
    "table": ("06-03", ("Table", "Side table", "Dining table"), "桌子"),
    "camera": ("16-01", ("Camera", "Digital camera", "Compact camera"), "照相机"),
    "speaker": ("14-01", ("Loudspeaker", "Wireless speaker", "Speaker box"), "音箱"),
    "bag": ("03-01", ("Handbag", "Tote bag", "Carrying bag"), "手提包"),
    "clock": ("10-01", ("Wall clock", "Clock", "Table clock"), "时钟"),
    "sofa": ("06-01", ("Sofa", "Upholstered sofa", "Couch"), "沙发"),
    "toaster": ("07-02", ("Toaster", "Bread toaster", "Electric toaster"), "烤面包机"),
}
_UNKNOWN_KIND = ("99-00", ("Article of manufacture",), "制品")

_AUTHORITIES = ("US", "EU", "CN", "JP", "KR")
_ASSIGNEES = (
    "Northgate Household GmbH", "Lumivara Design Inc", "Hengli Home Technology Co Ltd", "Atelier Brunnel SA",
    "Kitayama Kogyo KK", "Orbisound Electronics Ltd", "Meridian Living LLC", "Haneul Industries Co Ltd",
    "Casa Verdelli SpA", "Qiaoxin Appliances Co Ltd", "Fjordlys AS", "Pinecrest Goods Corp",
    "Tanager Mobile Inc", "Weststrand BV", "Yunhe Smart Devices Co Ltd", "Okabe Seisakusho KK",
)  # fmt: skip
_GIVEN = ("Anna", "Bo", "Chiara", "Daniel", "Emi", "Farid", "Greta", "Haruto", "Ines", "Jun", "Klara", "Min", "Nora")
_SURNAMES = ("Almeida", "Brandt", "Chen", "Dubois", "Eriksen", "Fujita", "Garcia", "Huang", "Ito", "Kim", "Moretti")
# Most are in force (3), some pending (1), some lapsed: unpaid fee 16, expiration 15, termination 22, abandonment 30.
_LEGAL_STATUS = ("3", "3", "3", "3", "3", "3", "1", "16", "15", "22", "30")
_PENDING_STATUS = ("1", "2")
_FIRST_DAY = date(2008, 1, 7)
_DAYS = 5800
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "gallery.sandbox.invalid")


@dataclass(frozen=True, slots=True)
class Patent:
    """One design patent, in the vendor's words.

    patent_pn, apno: numbers of the publication and the application
    title, title_cn: in English and in Chinese; the original is Chinese for what was filed in China
    apdt, pbdt: days of the application and the publication, yyyyMMdd
    inventor: names joined by `|`
    legal_status: a code of the vendor's table
    simple_legal_status: 0 inactive, 1 active, 2 pending
    family: an id of the design, which its patents in other countries share
    """

    patent_id: str
    patent_pn: str
    title: str
    title_cn: str
    apno: str
    apdt: int
    pbdt: int
    inventor: str
    current_assignee: str
    original_assignee: str
    loc: str
    country: str
    legal_status: str
    simple_legal_status: str
    family: str


def invent_patent(file_name: str) -> Patent:
    """Invent the patent of one gallery drawing from its file name alone."""
    kind, family, number = _read_name(file_name)
    loc, titles, title_cn = _KINDS.get(kind, _UNKNOWN_KIND)
    countries = sorted(_AUTHORITIES, key=lambda code: _hash(family, "authority", code))
    country = countries[(number - 1) % len(countries)]
    applied = _application_date(family, number)
    published = applied + timedelta(days=90 + _hash(file_name, "publication") % 330)
    patent_pn, apno = _numbers(country, file_name, applied)
    assignee = _pick(_ASSIGNEES, family, "assignee")
    legal_status = _pick(_LEGAL_STATUS, file_name, "status")
    return Patent(
        patent_id=str(uuid.uuid5(_NAMESPACE, file_name)),
        patent_pn=patent_pn,
        title=_pick(titles, family, "title"),
        title_cn=title_cn,
        apno=apno,
        apdt=_yyyymmdd(applied),
        pbdt=_yyyymmdd(published),
        inventor=_inventors(family),
        current_assignee=assignee,
        # About one family in eight was sold since it was filed.
        original_assignee=_pick(_ASSIGNEES, family, "seller") if _hash(family, "sold") % 8 == 0 else assignee,
        loc=loc,
        country=country,
        legal_status=legal_status,
        simple_legal_status="2" if legal_status in _PENDING_STATUS else "1" if legal_status == "3" else "0",
        family=str(uuid.uuid5(_NAMESPACE, family)),
    )


def _read_name(file_name: str) -> tuple[str, str, int]:
    """Split a name into kind, family and number. A name of another form is its own kind and family, with number 1."""
    stem = file_name.rsplit(".", 1)[0]
    found = re.fullmatch(r"([a-z]+)-([0-9]+)-([1-9][0-9]{0,3})", stem)
    return (found[1], f"{found[1]}-{found[2]}", int(found[3])) if found else (stem, stem, 1)


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big")


def _pick(choices: Sequence[Choice], *parts: str) -> Choice:
    return choices[_hash(*parts) % len(choices)]


def _application_date(family: str, number: int) -> date:
    first_filing = _FIRST_DAY + timedelta(days=_hash(family, "first filing") % _DAYS)
    if number == 1:
        return first_filing
    return first_filing + timedelta(days=1 + _hash(family, "later filing", str(number)) % 180)


def _numbers(country: str, file_name: str, applied: date) -> tuple[str, str]:
    """Make the numbers of publication and application, in the form that the authority uses."""
    serial = _hash(file_name, "serial")
    year = applied.year
    match country:
        case "US":
            return f"USD{500_000 + serial % 500_000:07d}S1", f"US29{serial // 500_000 % 1_000_000:06d}"
        case "EU":
            design = 1_000_000 + serial % 8_000_000
            return f"EU{design:09d}-{1 + serial // 8_000_000 % 9:04d}", f"EU{design:09d}"
        case "CN":
            return f"CN30{serial % 10_000_000:07d}S", f"CN{year}30{serial // 10_000_000 % 1_000_000:06d}"
        case "JP":
            return f"JPD{1_300_000 + serial % 400_000}S", f"JP{year}{serial // 400_000 % 30_000:06d}"
        case _:
            return f"KR30{500_000 + serial % 700_000:07d}S1", f"KR30{year}{serial // 700_000 % 60_000:07d}"


def _inventors(family: str) -> str:
    count = 1 + _hash(family, "inventors") % 3
    names = (
        f"{_pick(_GIVEN, family, 'given', str(i))} {_pick(_SURNAMES, family, 'surname', str(i))}" for i in range(count)
    )
    return "|".join(dict.fromkeys(names))


def _yyyymmdd(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day

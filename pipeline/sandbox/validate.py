"""Parameters of every endpoint as the contract has them. Anything else is refused with the name of the field.

The classes are the tables: msgspec checks types, ranges and choices, and refuses unknown fields.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from pipeline.endpoints.locarno import LocarnoError, parse_locarno
from pipeline.sandbox.envelope import BAD_REQUEST, INVALID_PARAMETER, Refused

Text = Annotated[str, Meta(min_length=1, max_length=2000)]
Url = Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"\Ahttps?://[^\s]+\Z")]
ShortUrl = Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"\Ahttps?://[^\s]+\Z")]
Day = Annotated[str, Meta(pattern=r"\A[0-9]{8}\Z")]
DayNumber = Annotated[int, Meta(ge=1000_01_01, le=9999_12_31)]
LocCode = Annotated[str, Meta(pattern=r"\A[0-9]{2}-[0-9]{2}\Z")]
Country = Annotated[str, Meta(pattern=r"\A[A-Z]{2}\Z")]
Countries = Annotated[tuple[Country, ...], Meta(min_length=1, max_length=200)]
Limit = Annotated[int, Meta(ge=1, le=100)]
Offset = Annotated[int, Meta(ge=0, le=1000)]
Flag = Literal[0, 1]

LEGAL_STATUS = frozenset(map(str, (1, 2, 3, 8, 11, 13, 14, 15, 16, 21, 22, 23, 24, 30, 222, 223, 224, 225)))
LEGAL_STATUS_P060 = LEGAL_STATUS | frozenset(map(str, (12, 17, 18, 19, 20, 25)))
SIMPLE_LEGAL_STATUS = frozenset(map(str, (0, 1, 2, 220, 221, 999)))

_DAYS = ("apply_start_time", "apply_end_time", "public_start_time", "public_end_time")
_MODELS = {"D": (1, 2), "U": (3, 4)}
_NUMBERS = ("limit", "offset")  # of P009, where they arrive as text
MOST_PATENTS = 100  # in one call of the endpoints of patent data
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


class _Search(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters that all searches take."""

    loc: Text | None = None
    assignees: Text | None = None
    legal_status: Text | None = None
    apply_start_time: Day | None = None
    apply_end_time: Day | None = None
    public_start_time: Day | None = None
    public_end_time: Day | None = None
    offset: Offset = 0
    order: Literal["desc", "asc"] = "desc"


class _InQuery(_Search, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters of the searches that take them in the query, as text."""

    # Parameters that only P060 has.
    model: ClassVar[int] = 0
    patent_type: ClassVar[None] = None
    query_text: ClassVar[None] = None
    lang: ClassVar[Literal["original"]] = "original"
    is_https: ClassVar[Literal[0]] = 0  # the vendor does not say which scheme these send; http is the harder one
    return_img_id: ClassVar[None] = None

    url: Url
    field: Literal["APD", "PBD", "ISD"] | None = None


class SearchP009(_InQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Query parameters of P009. The contract names no default for `limit`; 10 is that of P060."""

    country: ClassVar[None] = None
    simple_legal_status: ClassVar[None] = None
    main_field: ClassVar[None] = None

    limit: Limit = 10

    def __post_init__(self) -> None:
        _check_search(self, LEGAL_STATUS)


class SearchP009V2(_InQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Query parameters of P009 V2: `limit` is required, and three more are those of P060 as text."""

    limit: Limit
    country: Annotated[str, Meta(pattern=r"\A[A-Z]{2}(,[A-Z]{2})*\Z")] | None = None
    main_field: Text | None = None
    simple_legal_status: Text | None = None

    def __post_init__(self) -> None:
        _check_search(self, LEGAL_STATUS)
        _check_codes("simple_legal_status", self.simple_legal_status, SIMPLE_LEGAL_STATUS)


class _InBody(_Search, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters of the searches that take them in a JSON body.

    return_img_id: the vendor's document requires `img_id` in each hit, a reseller's has it only where asked for; so
    only a false leaves it out here
    """

    model: Literal[1, 2, 3, 4]
    patent_type: Literal["D", "U"]
    country: Countries | None = None
    main_field: Text | None = None
    query_text: Text | None = None
    simple_legal_status: Text | None = None
    limit: Limit = 10
    field: Literal["SCORE", "APD", "PBD", "ISD"] = "SCORE"
    lang: Literal["original", "cn", "en"] = "original"
    stemming: Flag = 0
    pre_filter: Flag = 1
    is_https: Flag = 0
    include_machine_translation: bool = False
    return_img_id: bool | None = None

    def __post_init__(self) -> None:
        _check_search(self, LEGAL_STATUS_P060)
        _check_codes("simple_legal_status", self.simple_legal_status, SIMPLE_LEGAL_STATUS)
        if self.model not in _MODELS[self.patent_type]:
            raise ValueError(f"model {self.model} does not go with patent_type {self.patent_type}")


class SearchP060(_InBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """JSON body of P060 and of its beta."""

    url: ShortUrl


class SearchP061(_InBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """JSON body of P061: 2 to 4 views, all different."""

    urls: Annotated[tuple[ShortUrl, ...], Meta(min_length=2, max_length=4)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.urls)) < len(self.urls):
            raise ValueError("urls: the pictures must be different")


class PatentMessage(Struct, frozen=True):
    """A hit as AI39-1 takes it; other fields are ignored."""

    patent_id: Text
    patent_pn: Text
    title: Text
    url: Url
    score: float | None = None
    apno: str | None = None
    apdt: DayNumber | None = None
    pbdt: DayNumber | None = None
    inventor: str | None = None
    current_assignee: str | None = None
    original_assignee: str | None = None
    loc_match: Flag | None = None


class Creation(Struct, frozen=True, forbid_unknown_fields=True):
    """JSON body of AI39-1."""

    urls: Annotated[tuple[Url, ...], Meta(min_length=1, max_length=100)]
    patent_messages: Annotated[tuple[PatentMessage, ...], Meta(min_length=1, max_length=100)]
    report_lang: Literal["cn", "en"]
    country: Countries | None = None


class Submission(Struct, frozen=True, forbid_unknown_fields=True):
    """JSON body of the newer pair's submit. The vendor does not mark `url` as required; nothing works without it."""

    url: Url
    country: Countries
    lang: Literal["cn", "en"]
    apply_start_time: Day | None = None
    loc_items: Annotated[tuple[LocCode, ...], Meta(min_length=1, max_length=100)] | None = None
    main_field: Text | None = None

    def __post_init__(self) -> None:
        _check_day("apply_start_time", self.apply_start_time)


class Query(Struct, frozen=True, forbid_unknown_fields=True):
    """JSON body of AI39-2, and of the newer pair's report."""

    task_id: Text


class PatentsAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Query parameters of the endpoints of patent data: up to 100 ids or numbers joined by commas; the ids win."""

    patent_id: Annotated[str, Meta(max_length=20_000)] = ""
    patent_number: Annotated[str, Meta(max_length=20_000)] = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.asked) <= MOST_PATENTS or not all(self.asked):
            raise ValueError(f"patent_id or patent_number: 1 to {MOST_PATENTS}, joined by commas")

    @property
    def asked(self) -> list[str]:
        """The ids, or the numbers where there are no ids."""
        return (self.patent_id or self.patent_number).split(",")


SearchRequest = SearchP009 | SearchP009V2 | SearchP060 | SearchP061
InQuery = TypeVar("InQuery", SearchP009, SearchP009V2, PatentsAsked)
Body = TypeVar("Body", SearchP060, SearchP061, Creation, Submission, Query)

_DECODERS: dict[type[Any], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (SearchP060, SearchP061, Creation, Submission, Query)
}


def read_body(body: bytes, kind: type[Body]) -> Body:
    """Read a JSON body. Raises Refused with the name of the field that is wrong."""
    try:
        request: Body = _DECODERS[kind].decode(body)
    except msgspec.ValidationError as exc:
        raise Refused(INVALID_PARAMETER, _named(exc)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(BAD_REQUEST, "the body is not JSON") from None
    return request


def read_query(pairs: Iterable[tuple[str, str]], kind: type[InQuery]) -> InQuery:
    """Read the query of an endpoint without a body. Raises Refused with the name of the parameter that is wrong.

    `apikey` is left out. Every value is text: `null` is a word like any other, and a number consists of digits alone.
    """
    values: dict[str, str | int] = {}
    for name, value in pairs:
        if name == "apikey":
            continue
        if name in values:
            raise Refused(INVALID_PARAMETER, f"{name} is given twice")
        values[name] = int(value) if name in _NUMBERS and _WHOLE_NUMBER.fullmatch(value) else value
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as exc:
        raise Refused(INVALID_PARAMETER, _named(exc)) from None


def refuse_parameters(names: Iterable[str]) -> None:
    """Refuse query parameters other than `apikey` on an endpoint that takes a body."""
    for name in names:
        if name != "apikey":
            raise Refused(INVALID_PARAMETER, f"unknown query parameter {name[:64]}")


def _check_search(search: _Search, legal_status: frozenset[str]) -> None:
    """Check what types cannot express: calendar days, windows of time, lists of codes, Locarno expressions."""
    for name in _DAYS:
        _check_day(name, getattr(search, name))
    for start, end in (_DAYS[:2], _DAYS[2:]):
        first, last = getattr(search, start), getattr(search, end)
        if first is not None and last is not None and first > last:
            raise ValueError(f"{start} is after {end}")
    _check_codes("legal_status", search.legal_status, legal_status)
    if search.loc is not None:
        try:
            parse_locarno(search.loc)
        except LocarnoError as exc:
            raise ValueError(f"loc: {exc}") from None


def _check_day(name: str, day: str | None) -> None:
    if day is None:
        return
    try:
        datetime.strptime(day, "%Y%m%d")
    except ValueError:
        raise ValueError(f"{name} is not a day as yyyyMMdd") from None


def _check_codes(name: str, codes: str | None, known: frozenset[str]) -> None:
    for code in codes.split(",") if codes is not None else ():
        if code.strip() not in known:
            raise ValueError(f"{name}: codes joined by commas, known are {', '.join(sorted(known, key=int))}")


def _named(error: msgspec.ValidationError) -> str:
    # msgspec appends the path of the object even where its text names the field already.
    return str(error).removesuffix(" - at `$`").replace("`", "'").replace("'$.", "'")[:300]

"""The parameters a search endpoint takes beside the picture, and what they leave out of sight.

Names, types and ranges are the vendor's (api-contract.md, P009 and P060). A value is checked before it costs a call.
"""

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LEGAL_STATUS = frozenset(
    ["1", "2", "3", "8", "11", "13", "14", "15", "16", "21", "22", "23", "24", "30", "222", "223", "224", "225"]
)
SIMPLE_LEGAL_STATUS = frozenset(["0", "1", "2", "220", "221", "999"])
_LOCARNO = re.compile(r"\d{2}(-\d{2})?|AND|OR|NOT|[()]")


class Strict(BaseModel):
    """Base of everything a user writes: unknown keys and silent conversions are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _day(value: str) -> str:
    try:
        datetime.strptime(value, "%Y%m%d")
    except ValueError:
        raise ValueError('write a date as "yyyyMMdd", for example "20240131"') from None
    if len(value) != 8:
        raise ValueError('write a date as "yyyyMMdd", for example "20240131"')
    return value


def _codes(allowed: frozenset[str]) -> BeforeValidator:
    def join(value: Any) -> Any:
        if value is None:
            return None
        codes = value if isinstance(value, list) else str(value).split(",")
        texts = [str(code).strip() for code in codes] or [""]
        if unknown := [text for text in texts if text not in allowed]:
            raise ValueError(f"unknown code {unknown[0]!r}; allowed: {', '.join(sorted(allowed, key=int))}")
        return ",".join(texts)

    return BeforeValidator(join, json_schema_input_type=str | int | list[str | int] | None)


def _locarno(value: str) -> str:
    if _LOCARNO.sub("", value).strip() or not re.search(r"\d", value):
        raise ValueError('write Locarno codes joined by AND, OR, NOT, for example "(06-01 OR 06-02)"')
    if value.count("(") != value.count(")"):
        raise ValueError("the parentheses do not match")
    return value


def _countries(value: list[str]) -> list[str]:
    if bad := [code for code in value if not re.fullmatch(r"[A-Z]{2}", code)]:
        raise ValueError(f"{bad[0]!r} is no authority code; write two capitals, for example US, EU, CN")
    return value


Day = Annotated[str, AfterValidator(_day)]
Locarno = Annotated[str, AfterValidator(_locarno)]
Countries = Annotated[list[str], Field(min_length=1), AfterValidator(_countries)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]


class P009Filters(Strict):
    """What P009 takes: worldwide designs, no country."""

    SHARED: ClassVar[frozenset[str]] = frozenset({"field", "order", "offset"})

    loc: Locarno | None = Field(default=None, description="Locarno codes joined by AND, OR, NOT")
    assignees: Text | None = None
    legal_status: Annotated[str | None, _codes(LEGAL_STATUS)] = None
    apply_start_time: Day | None = None
    apply_end_time: Day | None = None
    public_start_time: Day | None = None
    public_end_time: Day | None = None
    offset: Annotated[int, Field(ge=0, le=1000)] | None = None
    field: Literal["APD", "PBD", "ISD"] | None = None
    order: Literal["asc", "desc"] | None = None

    def asked(self) -> dict[str, Any]:
        """The parameters that were set, as the vendor's names and values."""
        return self.model_dump(exclude_none=True)

    def not_looked_at(self) -> list[str]:
        """What these filters leave out of sight, one phrase each, for people."""
        set_ = self.asked()
        phrases = {
            "loc": "designs outside Locarno {}",
            "assignees": "patents of anyone but {}",
            "legal_status": "patents with a legal status other than {}",
            "simple_legal_status": "patents with a simple legal status other than {}",
            "country": "patents outside {}",
            "apply_start_time": "applications before {}",
            "apply_end_time": "applications after {}",
            "public_start_time": "publications before {}",
            "public_end_time": "publications after {}",
            "offset": "the first {} hits",
        }
        return [phrases[key].format(_shown(value)) for key, value in set_.items() if key in phrases and value]


class P060Filters(P009Filters):
    """What P060 takes beside `url`, `model`, `patent_type` and `limit`."""

    country: Countries | None = None
    main_field: Text | None = None
    simple_legal_status: Annotated[str | None, _codes(SIMPLE_LEGAL_STATUS)] = None
    field: Literal["SCORE", "APD", "PBD", "ISD"] | None = None  # type: ignore[assignment]  # P060 also names SCORE
    lang: Literal["original", "cn", "en"] | None = None
    stemming: Literal[0, 1] | None = None
    pre_filter: Literal[0, 1] | None = None
    is_https: Literal[0, 1] | None = None
    include_machine_translation: bool | None = None
    return_img_id: bool | None = None


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

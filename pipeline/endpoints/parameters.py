"""Types of parameter values: what a user writes is checked before it costs a call."""

import re
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticOmit, core_schema

from pipeline.endpoints.locarno import LocarnoError, parse_locarno


class Strict(BaseModel):
    """Base of everything a user writes: unknown keys and silent conversions are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


AS_RUN = MappingProxyType({"as_run": True})  # the context in which a job is read that a run wrote down


def was_run(info: ValidationInfo) -> bool:
    """Return whether a job is read as an earlier run wrote it down: then rules that came later do not count."""
    return info.context is AS_RUN


class _Refused:
    """Marker of a field whose every value is refused; the JSON Schema omits it, so that no editor offers it."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._refuse, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        raise PydanticOmit

    def _refuse(self, value: Any) -> Any:
        raise ValueError(self._why)


def lacking(endpoint: str, why: str) -> _Refused:
    """Mark a field that others of its kind have and this endpoint has not: a job that sets it is told why."""
    return _Refused(f"{endpoint} does not take it: {why}")


def _loc_codes(value: list[str], info: ValidationInfo) -> list[str]:
    bad = [] if was_run(info) else [code for code in value if not re.fullmatch(r"[0-9]{2}-[0-9]{2}", code)]
    if bad:
        raise ValueError(f'{bad[0]!r} is no Locarno code; write a list of codes, for example ["26-05", "06-01"]')
    return value


def _day(value: str, info: ValidationInfo) -> str:
    if was_run(info):
        return value
    try:
        if not re.fullmatch(r"[0-9]{8}", value):  # strptime also takes blanks, and digits of other scripts
            raise ValueError
        datetime.strptime(value, "%Y%m%d")
    except ValueError:
        raise ValueError('write a date as "yyyyMMdd", for example "20240131"') from None
    return value


def joined_codes(allowed: frozenset[str]) -> BeforeValidator:
    """Make the type of codes joined by commas; a list or one number is taken, too."""

    def join(value: Any) -> Any:
        if value is None:
            return None
        listed = value if isinstance(value, list) else str(value).split(",")
        texts = [str(code).strip() for code in listed] or [""]
        if unknown := [text for text in texts if text not in allowed]:
            raise ValueError(f"unknown code {unknown[0]!r}; allowed: {', '.join(sorted(allowed, key=int))}")
        return ",".join(texts)

    return BeforeValidator(join, json_schema_input_type=str | int | list[str | int] | None)


def _locarno(value: str, info: ValidationInfo) -> str:
    if was_run(info):
        return value
    try:
        parse_locarno(value)
    except LocarnoError as exc:
        raise ValueError(f'{exc}; write Locarno codes joined by AND, OR, NOT, as "(06-01 OR 06-02)"') from None
    return value


def _not_blank(value: str, info: ValidationInfo) -> str:
    if not value.strip() and not was_run(info):
        raise ValueError("only blanks; write what to look for, or leave the key out")
    return value


def _countries(value: list[str]) -> list[str]:
    if bad := [code for code in value if not re.fullmatch(r"[A-Z]{2}", code)]:
        raise ValueError(f"{bad[0]!r} is no authority code; write two capitals, for example US, EU, CN")
    return value


_SPAN = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)([hm])")
MOST_HOURS = 9  # links to hits and uploads end then


def seconds_of(span: str) -> float:
    """Return the seconds of a span of time as a job writes it."""
    number, unit = _SPAN.fullmatch(span).groups()  # type: ignore[union-attr]
    return float(number) * (3600 if unit == "h" else 60)


def _hours(value: Any) -> Any:
    if value == 0 and not isinstance(value, bool):
        return "0h"
    if not isinstance(value, str) or not _SPAN.fullmatch(value) or seconds_of(value) > MOST_HOURS * 3600:
        raise ValueError(f'must be a time from 0h to {MOST_HOURS}h, for example "2h" or "90m"')
    return value


Hours = Annotated[str, BeforeValidator(_hours), WithJsonSchema({"type": "string", "pattern": r"^[0-9.]+[hm]$"})]
Day = Annotated[str, AfterValidator(_day)]
Locarno = Annotated[str, AfterValidator(_locarno)]
LocCodes = Annotated[list[str], Field(min_length=1), AfterValidator(_loc_codes)]
Countries = Annotated[list[str], Field(min_length=1), AfterValidator(_countries)]
Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_not_blank)]

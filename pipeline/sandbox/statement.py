"""The sandbox's statement of account: what it counted and billed itself, by its own days.

A day begins at midnight in China and appears once it is closed, at 8:00 on the next day: before that its calls are left
out, which is the harder reading of the vendor's page.
"""

import hmac
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from pipeline.sandbox.envelope import INVALID_PARAMETER, Answer, Refused, success
from pipeline.system.structs import decode

_WRONG_KEY = 67200003
_AHEAD = timedelta(hours=8)  # of the vendor's days
_CLOSED_AFTER = timedelta(hours=8)  # the end of a day
_MAX_BODY_BYTES = 4096

Day = Annotated[str, Meta(pattern=r"\A[0-9]{8}\Z")]
Text = Annotated[str, Meta(min_length=1, max_length=500)]


class StatementAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """The body: all of it is required, and nothing else is taken."""

    apikey: Text
    client_secret: Text
    time_start: Day
    time_end: Day


@dataclass(slots=True)
class _Use:
    name: str = ""
    calls: int = 0
    billed: int = 0


@dataclass(slots=True)
class Statement:
    """The use of one account, counted as it comes.

    packages  endpoints that are counted in a package, by the vendor's names, instead of being charged
    prices    of one unit, by the vendor's names; 1 where none is named
    """

    client: tuple[str, str] = field(repr=False)
    clock: Callable[[], float]
    packages: frozenset[str] = frozenset()
    prices: Mapping[str, str] = field(default_factory=dict)
    _days: defaultdict[date, dict[str, _Use]] = field(default_factory=lambda: defaultdict(dict))

    def count(self, path: str, name: str, *, units: int) -> None:
        """Count a call that was let in, and what it is billed."""
        use = self._days[_day(self.clock())].setdefault(path, _Use(name))
        use.calls += 1
        use.billed += units

    def answer(self, body: bytes) -> Answer:
        """Answer for some days. Raises Refused for another body, and for another account."""
        asked = _read(body)
        given = asked.apikey, asked.client_secret
        if not all(
            hmac.compare_digest(one.encode(), own.encode()) for one, own in zip(given, self.client, strict=True)
        ):
            raise Refused(_WRONG_KEY)
        first, last = _date("time_start", asked.time_start), _date("time_end", asked.time_end)
        if last < first:
            raise Refused(INVALID_PARAMETER, "time_end is before time_start")
        return success(msgspec.json.encode(self._data(first, last)))

    def _data(self, first: date, last: date) -> dict[str, Any]:
        total: dict[str, _Use] = {}
        for day, uses in sorted(self._days.items()):
            if first <= day <= last and self._is_closed(day):
                for path, use in uses.items():
                    sum_ = total.setdefault(path, _Use(use.name))
                    sum_.calls += use.calls
                    sum_.billed += use.billed
        if not total:
            return {}
        usage = [self._charged(path, use) for path, use in total.items() if use.name not in self.packages]
        combo: list[dict[str, Any]] = [
            {"url": path, "url_name": _names(use.name), "used_num": use.calls}
            for path, use in total.items()
            if use.name in self.packages
        ]
        used = sum(use.calls for use in total.values() if use.name in self.packages)
        money = float(sum((Decimal(str(row["used_money"])) for row in usage), Decimal(0)))
        data = {"usage": usage, "usage_money": money}
        return data | ({"combo_usage": combo, "combo_use_num": used, "combo_usage_num": used} if combo else {})

    def _charged(self, path: str, use: _Use) -> dict[str, Any]:
        return {
            "request_path": path,
            "serial_number": use.name,
            "request_path_name": _names(use.name),
            "usage_times": use.calls,
            "fee_times": use.billed,
            "used_money": float(use.billed * Decimal(self.prices.get(use.name, "1"))),
        }

    def _is_closed(self, day: date) -> bool:
        ends = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) - _AHEAD
        return self.clock() >= (ends + _CLOSED_AFTER).timestamp()


def _names(name: str) -> str:
    return f"<cn>{name}</cn><us>{name}</us>"


def _day(moment: float) -> date:
    return (datetime.fromtimestamp(moment, UTC) + _AHEAD).date()


def _date(key: str, text: str) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Refused(INVALID_PARAMETER, f"{key} is no day") from None


def _read(body: bytes) -> StatementAsked:
    if len(body) > _MAX_BODY_BYTES:
        raise Refused(INVALID_PARAMETER, "the body is too large")
    try:
        return decode(body, StatementAsked)
    except msgspec.ValidationError as exc:
        raise Refused(
            INVALID_PARAMETER, str(exc).partition(" - ")[0] if "client_secret" in str(exc) else str(exc)
        ) from None
    except msgspec.DecodeError:
        raise Refused(INVALID_PARAMETER, "the body is no JSON") from None

"""The statement of account: what the vendor counted and billed in some days, by path.

Its body holds the client's secret, so accounts with an API key alone cannot ask. Our assumptions, which the vendor's
page does not say: a day begins at midnight in China, and is closed at 8:00 on the next day (`?`: the page says that
details count from 8:00 each day, so that the day is incomplete before); a path without calls is left out; nothing used
at all is `data: {}` (`?`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from pipeline.endpoints.interface import Answer, Refusal, Request, posting
from pipeline.endpoints.patsnap.billed import name_of_path
from pipeline.endpoints.patsnap.envelope import number_in, read_data
from pipeline.models import Kind

ZONE = timezone(timedelta(hours=8))  # of the vendor's days (?)
CLOSES_AT = time(8, 0)  # on the next day


@dataclass(frozen=True, slots=True)
class Asked:
    """The question: one account, from one day to another. The repr shows no secret."""

    client_id: str
    client_secret: str = field(repr=False)
    first: date
    last: date


class Used(NamedTuple):
    """The use of one path.

    name    the vendor's name of the endpoint; its path where nobody named it
    calls   that the vendor counts
    billed  of them; None where it counts them in a package
    money   that it charged for them
    """

    path: str
    name: str
    calls: int
    billed: int | None
    money: Decimal


class AccountStatement:
    """The endpoint of the statement. It is neither billed nor limited with the paid calls."""

    kind = Kind.TOKEN

    def request(self, asked: Asked) -> Request:
        """Ask for the days."""
        body = {
            "apikey": asked.client_id,
            "client_secret": asked.client_secret,
            "time_start": f"{asked.first:%Y%m%d}",
            "time_end": f"{asked.last:%Y%m%d}",
        }
        path = "/open-user/statement/v2"
        return posting(self.kind, path, msgspec.json.encode(body))

    def read(self, answer: Answer) -> tuple[Used, ...]:
        """Read what was used; nothing at all is an empty tuple. Raises Refusal for anything that is not whole."""
        data, _ = read_data(self.kind, answer)
        if not isinstance(data, dict):
            raise Refusal("malformed", detail="the statement is no object")
        used = [_billed(row) for row in _rows(data, "usage")] + [_counted(row) for row in _rows(data, "combo_usage")]
        return tuple(_one_for_each_path(used))


def day_of(moment: float) -> date:
    """Return the vendor's day of a moment (seconds since the epoch)."""
    return datetime.fromtimestamp(moment, ZONE).date()


def closes_at(day: date) -> float:
    """Return the moment at which a day's statement is complete (seconds since the epoch)."""
    return datetime.combine(day + timedelta(days=1), CLOSES_AT, ZONE).timestamp()


def _rows(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    rows = data.get(key)
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Refusal("malformed", detail=f"{key} is no list of objects")
    return rows


def _billed(row: dict[str, Any]) -> Used:
    path = _text(row, "request_path")
    name = row.get("serial_number")
    known = name_of_path(path)
    return Used(
        path,
        name if known == path and isinstance(name, str) and name.strip() and name.isprintable() else known,
        _whole(row, "usage_times"),
        _whole(row, "fee_times"),
        _money(row.get("used_money")),
    )


def _counted(row: dict[str, Any]) -> Used:
    path = _text(row, "url")
    return Used(path, name_of_path(path), _whole(row, "used_num"), None, Decimal(0))


def _one_for_each_path(rows: Sequence[Used]) -> list[Used]:
    """Add up the rows of a path: one may be there for each day, and in a package beside."""
    whole: dict[str, Used] = {}
    for row in rows:
        before = whole.get(row.path)
        if before is None:
            whole[row.path] = row
            continue
        billed = None if row.billed is before.billed is None else (row.billed or 0) + (before.billed or 0)
        whole[row.path] = before._replace(calls=before.calls + row.calls, billed=billed, money=before.money + row.money)
    return list(whole.values())


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable() or len(value) > 300:
        raise Refusal("malformed", detail=f"{key} is no path")
    return value


def _whole(row: dict[str, Any], key: str) -> int:
    value = number_in(row.get(key))
    if value is None or value < 0 or value != int(value):
        raise Refusal("malformed", detail=f"{key} is no number of calls")
    return int(value)


def _money(value: Any) -> Decimal:
    number = number_in(0 if value is None else value)
    if number is None:
        raise Refusal("malformed", detail="used_money is no amount")
    return Decimal(str(value if value is not None else 0))

"""The prices of a job: what the vendor asks for one call, by the name of its endpoint. Decimals, never floats."""

import difflib
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from pipeline.endpoints.patsnap.billed import PATHS

MOST, PLACES = 10**9, 6  # so that every price is a number of 15 digits, which YAML and JSON carry exactly
_LEAST = Decimal(1).scaleb(-PLACES)


def _amount(value: Any) -> Decimal:
    """Read an amount of money as it is written: 0.1 is one tenth, not the float that is nearest to it."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            raise InvalidOperation
        amount = Decimal(str(value))
        if not amount.is_finite():
            raise InvalidOperation
    except (InvalidOperation, ValueError):  # the latter for a whole number of thousands of digits
        raise ValueError("must be an amount of money, for example 0.2") from None
    # Compared as a whole: `normalize` would round an amount of many digits before anybody counts them.
    if not 0 <= amount < MOST or (exact := amount.quantize(_LEAST)) != amount:
        raise ValueError(f"must be an amount from 0 to below {MOST:,}, with at most {PLACES} decimals")
    return Decimal(f"{exact.copy_abs():f}".rstrip("0").rstrip("."))  # never 1E+3, nor -0


def _plain(amount: Decimal) -> int | float:
    """Write an amount as a number: at most 15 digits, so that reading it brings back the same amount."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


Amount = Annotated[
    Decimal,
    BeforeValidator(_amount),
    PlainSerializer(_plain, when_used="json"),
    WithJsonSchema({"type": "number", "minimum": 0, "exclusiveMaximum": MOST}),
]


def _endpoint(name: str) -> str:
    if name not in PATHS:
        close = difflib.get_close_matches(name.upper(), PATHS, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]!r}?" if close else f"one of {', '.join(PATHS)}"
        raise ValueError(f"no endpoint of the vendor that is known here; {hint}")
    return name


Prices = dict[Annotated[str, AfterValidator(_endpoint)], Amount]
Currency = Annotated[str, Field(max_length=12, pattern=r"^[^\s\x00-\x1f\x7f]*$")]

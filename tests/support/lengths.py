"""The lengths of a test: short in `make test`, long in `make proofs`, thorough in `make thorough`, which takes longer.

@pytest.mark.parametrize("examples", lengths(short=10, long=100, thorough=1000))
@pytest.mark.parametrize("kills", lengths(long=100, thorough=1000))
@pytest.mark.parametrize("fault", only_short(FAULTS, "reset", "lost"))
@pytest.mark.parametrize("mutant", some(MUTANTS, "early-ack"))
@only_thorough
"""

import os
from collections.abc import Iterable
from typing import Any

import pytest

THOROUGH = bool(os.environ.get("THOROUGH"))
only_thorough = pytest.mark.skipif(not THOROUGH, reason="a part of make thorough")


def lengths(*, long: object, short: object = None, thorough: object = None) -> list[Any]:
    """Return the forms that there are as parameters; the long one is the thorough one where that is asked for."""
    longest = thorough if THOROUGH and thorough is not None else long
    of_proofs = _param(longest, "long", marks=pytest.mark.proofs)
    return [of_proofs] if short is None else [_param(short, "short"), of_proofs]


def _param(length: object, id_: str, **options: Any) -> Any:
    values = length if isinstance(length, tuple) else (length,)
    return pytest.param(*values, id=id_, **options)


def only_short(values: Iterable[Any], *short: Any) -> list[Any]:
    """Return all values as parameters, of which all but those named are part of the long form."""
    values = list(values)
    assert all(value in values for value in short), "the short form names a value that is not there"
    return [value if value in short else pytest.param(value, marks=pytest.mark.proofs) for value in values]


def some(values: Iterable[Any], *named: Any) -> list[Any]:
    """Return the named values alone, and all of them where the thorough form is asked for."""
    values = list(values)
    assert all(value in values for value in named), "a value is named that is not there"
    return values if THOROUGH else list(named)

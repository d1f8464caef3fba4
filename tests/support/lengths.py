"""The two lengths of a test: the short one is part of `make test`, the long one of `make proofs`.

@pytest.mark.parametrize("kills", lengths(short=10, long=100))
@pytest.mark.parametrize("fault", only_short(FAULTS, "reset", "lost"))
"""

from collections.abc import Iterable
from typing import Any

import pytest


def lengths(*, short: object, long: object) -> list[Any]:
    """Return both lengths as parameters."""
    return [_param(short, "short"), _param(long, "long", marks=pytest.mark.proofs)]


def _param(length: object, id_: str, **options: Any) -> Any:
    values = length if isinstance(length, tuple) else (length,)
    return pytest.param(*values, id=id_, **options)


def only_short(values: Iterable[Any], *short: Any) -> list[Any]:
    """Return all values as parameters, of which all but those named are part of the long form."""
    values = list(values)
    assert all(value in values for value in short), "the short form names a value that is not there"
    return [value if value in short else pytest.param(value, marks=pytest.mark.proofs) for value in values]

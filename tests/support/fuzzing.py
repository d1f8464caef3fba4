"""Properties in both lengths: a check of drawn values becomes a long test, and a short one where that is asked for.

@fuzzed(st.binary(), short=200, long=5000)
@example(b"")
def test_any_bytes_are_read(raw: bytes) -> None: ...
"""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.lengths import lengths

# Any JSON, with the vendor's keys and codes in it here and there.
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from([67200002, "67200003", 68300004, 10**400, -0.0, "t-1", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "status",
                    "error_code",
                    "error_msg",
                    "patent_messages",
                    "task_id",
                    "url",
                    "score",
                    "token",
                    "title",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


def fuzzed(
    *strategies: Any, long: int, short: int | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Turn a check of drawn values into a test of so many of them, the same ones every time.

    The last arguments of the check are drawn, those before them are fixtures; @example stands below this.
    """

    def test_of(assert_for_one: Callable[..., None]) -> Callable[..., None]:
        fixtures = list(inspect.signature(assert_for_one).parameters)[: -len(strategies)]

        @pytest.mark.parametrize("examples", lengths(short=short, long=max(long // 10, 4), thorough=long))
        def test(request: pytest.FixtureRequest, examples: int) -> None:
            unhurried = [HealthCheck.too_slow, HealthCheck.data_too_large]
            how = settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=unhurried)
            how(given(*strategies)(assert_for_one))(*map(request.getfixturevalue, fixtures))

        test.__name__, test.__doc__, test.__module__ = (
            assert_for_one.__name__,
            assert_for_one.__doc__,
            assert_for_one.__module__,
        )
        return test

    return test_of

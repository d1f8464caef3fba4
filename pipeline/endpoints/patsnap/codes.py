"""The vendor's facts: the table of its codes with every property of each, and how long its answers take.

A row has two rules: for calls that may be repeated (each repetition is counted and paid), and for creates (AI39-1,
AI39-submit), which have no idempotency key. A create that met a row made by `both` counts as not executed; after one
made by `unclear` it is in doubt (the vendor has not confirmed this split in writing).
"""

from collections.abc import Mapping

from pipeline.endpoints.consequences import OURS, Condition, Override, Rule, Table, both, effective, unclear
from pipeline.endpoints.own_answers import OF_ANOTHER
from pipeline.errors import HoldAll, ItemRefused, RefreshToken, RunPaused, RunStopped, SlowDown, TryAgain

# The vendor's figures, in seconds: the usual time and the longest.
NORMAL_ANSWER_S = 5
MAX_ANSWER_S = 10

_STOP = Rule(RunStopped)
_PAUSE = Rule(RunPaused)
_FAIL = Rule(ItemRefused)
_WAIT = Rule(HoldAll)
_SLOW = Rule(SlowDown)
_AUTH = Rule(RefreshToken)

ROWS: Table = {
    # --- the vendor's codes ---
    # It has two texts: "exceeds the total limit", and "Server Internal Error!", which may come after a task was made.
    "67200000": unclear("the platform's total limit is reached, or it failed inside", _WAIT),
    "67200001": both("the platform's total limit is reached", _WAIT),
    "67200002": both("more calls per second than the account allows", _SLOW),
    "67200003": both("the key, secret or token was refused", _AUTH),
    "67200004": both("the account has no permission for this API, or its package is used up", _STOP, denied=True),
    "67200005": both("the account's balance or number of calls is used up", _PAUSE),
    "67200006": both("the account is past its validity period", _STOP),
    "67200007": both("the account's limit for today is reached", _PAUSE, daily=True),
    "67200008": both("apikey is missing from the query", _STOP),
    "67200009": both("apikey does not match the token", _AUTH),
    "67200012": both("the vendor calls the request illegal", _FAIL),
    "67200100": unclear("the vendor is busy or timed out", Rule(TryAgain, 4, 1.0)),
    "67200101": both("the vendor has no such API", _STOP),
    "68300004": both("the vendor calls a parameter invalid", _FAIL),
    "68300005": unclear("the vendor's search failed", Rule(TryAgain, 3, 1.0)),
    "68300006": unclear("the vendor's analytics could not be reached", Rule(TryAgain, 4, 2.0)),
    "68300007": both("the vendor calls it a bad request", _FAIL),
    "68300008": unclear("the vendor's service failed; it says try later", Rule(TryAgain, 4, 2.0)),
    "68300010": both("the vendor does not accept this picture file", _FAIL, about_picture=True),
    # --- codes nobody has told us of: by prefix, then any ---
    "672": unclear("the vendor's platform sent an undocumented code", Rule(TryAgain, 2, 1.0), unknown=True),
    "683": unclear("the vendor's service sent an undocumented code", Rule(TryAgain, 2, 1.0), unknown=True),
    "unknown_code": unclear("the vendor refused with an unknown code", Rule(TryAgain, 2, 1.0), unknown=True),
    # --- HTTP without an envelope ---
    "http_401": both("the vendor refused the credentials (HTTP 401)", _AUTH),
    "http_403": both("the vendor refused the credentials (HTTP 403)", _AUTH),
    "http_408": unclear("the vendor gave up waiting (HTTP 408)", Rule(TryAgain, 4, 1.0)),
    "http_429": both("more calls per second than the account allows (HTTP 429)", _SLOW),
    "http_3xx": unclear("the vendor redirected the call; redirects are never followed", _STOP, ends_run=True),
    "http_4xx": both("the vendor refused the request", _FAIL),
    "http_5xx": unclear("the vendor's gateway failed", Rule(TryAgain, 4, 1.0)),
    # --- the way there and back ---
    "not_sent": both("the vendor could not be reached", Rule(TryAgain, 4, 0.05)),
    "certificate": unclear("the vendor's certificate was not accepted", _STOP, ends_run=True),
    "no_answer": unclear("the answer never came", Rule(TryAgain, 4, 1.0)),
    "malformed": unclear("the answer is not the JSON it should be", Rule(TryAgain, 4, 1.0)),
    "too_large": unclear("the answer is larger than any real one", Rule(TryAgain, 4, 1.0)),
    "no_data": unclear("the vendor says success but sent no data", Rule(TryAgain, 2, 1.0), alive=True),
    "no_task_id": unclear(
        "the vendor says success but sent no task id", Rule(TryAgain, 2, 1.0), names_no_task=True, alive=True
    ),
    OF_ANOTHER: unclear("the answer is to another question", Rule(TryAgain, 4, 1.0), alive=True),
    "hits_missing": unclear("the vendor counts hits but sent none", Rule(TryAgain, 2, 1.0), alive=True),
    "old_search_id": both("the vendor knows this search no more", _FAIL),
    "past_the_end": both("the search has fewer hits than search.filters.offset leaves out", _FAIL),
}


def condition_of_status(status: int) -> str:
    """Name the row for an HTTP status that came without an envelope."""
    exact = f"http_{status}"
    return exact if exact in ROWS else f"http_{min(max(status // 100, 3), 5)}xx"


def condition_of_code(code: int) -> str:
    """Name the row for a vendor's code; unknown ones by their prefix."""
    text = str(code)
    if text in ROWS:
        return text
    return text[:3] if len(text) == 8 and text[:3] in ROWS else "unknown_code"


def row_of(name: str) -> str:
    """Name the row that holds for a code, `http_<status>` or condition. Raises ValueError for anything else."""
    if name in ROWS:
        return name
    return condition_of_status(int(name[5:])) if name.startswith("http_") else condition_of_code(int(name))


def row_of_recorded(code: str, table: Table) -> Condition | None:
    """Find the row of a code that a record holds; None for a word that the table does not know."""
    try:
        return table.get(code) or table[row_of(code)]
    except ValueError:
        return None


def table_with(overrides: Mapping[str, Override]) -> Table:
    """Return the table with a job's overrides in it, and with our own codes. Raises ValueError for a refused one."""
    return effective({**OURS, **ROWS}, overrides, nearest=row_of)


TABLE = table_with({})  # of a job that changes nothing

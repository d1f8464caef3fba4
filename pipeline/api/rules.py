"""What follows from each answer: the one table of the vendor's codes and of everything that can go wrong on the way.

Per condition two rules: for calls that may be repeated (P009, P060, P010; each repetition is counted and paid), and
for AI39-1, which has no idempotency key. Codes that the vendor's gateway refuses count as not executed; everything
else that was sent and not clearly answered is in doubt (the vendor has not confirmed this split in writing).
"""

from typing import NamedTuple

from pipeline.errors import (
    CallError,
    HoldAll,
    InDoubt,
    ItemRefused,
    RefreshToken,
    RunPaused,
    RunStopped,
    SlowDown,
    TryAgain,
)
from pipeline.models import Kind


class Rule(NamedTuple):
    """What follows: the error's class, the attempts in all, and the first backoff in seconds."""

    error: type[CallError]
    attempts: int = 1
    base_s: float = 1.0


class Condition(NamedTuple):
    """One row: what it means for people, and the rule per kind of call."""

    text: str
    repeatable: Rule
    create: Rule


def _both(text: str, rule: Rule) -> Condition:
    return Condition(text, rule, rule)


_DOUBT = Rule(InDoubt)
_STOP = Rule(RunStopped)
_PAUSE = Rule(RunPaused)
_FAIL = Rule(ItemRefused)
_WAIT = Rule(HoldAll, attempts=1)
_SLOW = Rule(SlowDown)
_AUTH = Rule(RefreshToken)

RULES: dict[str, Condition] = {
    # --- the vendor's codes (api-contract.md) ---
    "67200000": _both("the platform's total limit is reached", _WAIT),
    "67200001": _both("the platform's total limit is reached", _WAIT),
    "67200002": _both("more calls per second than the account allows", _SLOW),
    "67200003": _both("the key, secret or token was refused", _AUTH),
    "67200004": _both("the account has no permission for this API, or its package is used up", _STOP),
    "67200005": _both("the account's balance or number of calls is used up", _PAUSE),
    "67200006": _both("the account is past its validity period", _STOP),
    "67200007": _both("the account's limit for today is reached", _PAUSE),
    "67200008": _both("apikey is missing from the query", _STOP),
    "67200009": _both("apikey does not match the token", _AUTH),
    "67200012": _both("the vendor calls the request illegal", _FAIL),
    "67200100": Condition("the vendor is busy or timed out", Rule(TryAgain, 4, 1.0), _DOUBT),
    "67200101": _both("the vendor has no such API", _STOP),
    "68300004": _both("the vendor calls a parameter invalid", _FAIL),
    "68300005": Condition("the vendor's search failed", Rule(TryAgain, 3, 1.0), _DOUBT),
    "68300006": Condition("the vendor's analytics could not be reached", Rule(TryAgain, 4, 2.0), _DOUBT),
    "68300007": _both("the vendor calls it a bad request", _FAIL),
    "68300008": Condition("the vendor's service failed; it says try later", Rule(TryAgain, 4, 2.0), _DOUBT),
    "68300010": _both("the vendor does not accept this picture file", _FAIL),
    # --- codes nobody has told us of: by prefix, then any ---
    "672": Condition("the vendor's platform sent an undocumented code", Rule(TryAgain, 2, 1.0), _DOUBT),
    "683": Condition("the vendor's service sent an undocumented code", Rule(TryAgain, 2, 1.0), _DOUBT),
    "unknown_code": Condition("the vendor refused with an unknown code", Rule(TryAgain, 2, 1.0), _DOUBT),
    # --- HTTP without an envelope ---
    "http_401": _both("the vendor refused the credentials (HTTP 401)", _AUTH),
    "http_403": _both("the vendor refused the credentials (HTTP 403)", _AUTH),
    "http_408": Condition("the vendor gave up waiting (HTTP 408)", Rule(TryAgain, 4, 1.0), _DOUBT),
    "http_429": _both("more calls per second than the account allows (HTTP 429)", _SLOW),
    "http_3xx": Condition("the vendor redirected the call; redirects are never followed", _STOP, _DOUBT),
    "http_4xx": _both("the vendor refused the request", _FAIL),
    "http_5xx": Condition("the vendor's gateway failed", Rule(TryAgain, 4, 1.0), _DOUBT),
    # --- the way there and back ---
    "not_sent": _both("the vendor could not be reached", Rule(TryAgain, 4, 0.05)),
    "certificate": _both("the vendor's certificate was not accepted", _STOP),
    "no_answer": Condition("the answer never came", Rule(TryAgain, 4, 1.0), _DOUBT),
    "malformed": Condition("the answer is not the JSON it should be", Rule(TryAgain, 4, 1.0), _DOUBT),
    "too_large": Condition("the answer is larger than any real one", Rule(TryAgain, 4, 1.0), _DOUBT),
    "no_data": Condition("the vendor says success but sent no data", Rule(TryAgain, 2, 1.0), _DOUBT),
    "no_task_id": Condition("the vendor says success but sent no task id", Rule(TryAgain, 2, 1.0), _DOUBT),
}


def condition_of_status(status: int) -> str:
    """Name the row for an HTTP status that came without an envelope."""
    exact = f"http_{status}"
    return exact if exact in RULES else f"http_{min(max(status // 100, 3), 5)}xx"


def condition_of_code(code: int) -> str:
    """Name the row for a vendor's code; unknown ones by their prefix."""
    text = str(code)
    if text in RULES:
        return text
    return text[:3] if len(text) == 8 and text[:3] in RULES else "unknown_code"


def error_for(
    kind: Kind,
    condition: str,
    *,
    code: str = "",
    detail: str = "",
    retry_after_s: float | None = None,
    sent: bool = True,
) -> CallError:
    """Build the error that a row of the table asks for; `detail` is the vendor's own text and is cut."""
    row = RULES[condition]
    rule = row.create if kind is Kind.CREATE else row.repeatable
    # JSON can spell half a surrogate pair, which no file takes.
    said = " ".join(detail.encode("utf-8", "replace").decode().split())[:2000]
    text = f"{row.text} ({code or condition}{': ' + said if said else ''})"
    return rule.error(
        text, code=code or condition, attempts=rule.attempts, base_s=rule.base_s, sent=sent, retry_after_s=retry_after_s
    )

"""What follows from each answer: the one table of the vendor's codes and of everything that can go wrong on the way.

Per condition two rules: for calls that may be repeated (P009, P060, P010; each repetition is counted and paid), and
for AI39-1, which has no idempotency key. Codes that the vendor's gateway refuses count as not executed; everything
else that was sent and not clearly answered is in doubt (the vendor has not confirmed this split in writing).

A job may overrule rows (`api.errors`): `effective` builds the table that counts, `overruled` looks an error up in it.
"""

from collections.abc import Mapping
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
    """One row: what it means for people, and the rule per kind of call.

    `ends_run`: a create that ends in doubt this way also ends the run, because all others would end the same way.
    """

    text: str
    repeatable: Rule
    create: Rule
    ends_run: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether a create that met it may have been executed."""
        return self.create.error is InDoubt

    def rule(self, kind: Kind, *, sent: bool) -> Rule:
        """The rule for a call; what was not sent cannot be in doubt, so there the rule of other calls counts."""
        return self.create if kind is Kind.CREATE and (sent or not self.doubtful) else self.repeatable


class Override(NamedTuple):
    """What a job changes in a row; None leaves it. `search` and `create` are words of `CLASSES`."""

    search: str | None = None
    create: str | None = None
    attempts: int | None = None
    base_s: float | None = None


Table = Mapping[str, Condition]
UNKNOWN = ("672", "683", "unknown_code")  # rows that nobody has told us of
DEFAULT_ATTEMPTS = 4  # of what only a job tries again; most rows have as many
CLASSES: dict[str, type[CallError]] = {
    "retry": TryAgain,
    "slow": SlowDown,
    "hold": HoldAll,
    "refresh": RefreshToken,
    "fail": ItemRefused,
    "in_doubt": InDoubt,
    "pause": RunPaused,
    "stop": RunStopped,
}


# What a job may say of a create that may have been executed. All other classes take it as not executed, and send it
# again for as long as they last, in this run and in the next.
OF_DOUBT = ("in_doubt", "fail", "retry")


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
    "http_3xx": Condition("the vendor redirected the call; redirects are never followed", _STOP, _DOUBT, True),
    "http_4xx": _both("the vendor refused the request", _FAIL),
    "http_5xx": Condition("the vendor's gateway failed", Rule(TryAgain, 4, 1.0), _DOUBT),
    # --- the way there and back ---
    "not_sent": _both("the vendor could not be reached", Rule(TryAgain, 4, 0.05)),
    "certificate": Condition("the vendor's certificate was not accepted", _STOP, _DOUBT, True),
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
    # JSON can spell half a surrogate pair, which no file takes.
    said = " ".join(detail.encode("utf-8", "replace").decode().split())[:2000]
    text = f"{row.text} ({code or condition}{': ' + said if said else ''})"
    plain = CallError(text, code=code or condition, sent=sent, retry_after_s=retry_after_s)
    plain.condition = condition
    return _ruled(plain, row, kind)


def effective(overrides: Mapping[str, Override]) -> Table:
    """The table with a job's overrides in it, to be built once per run. Raises ValueError on a refused one."""
    table = dict(RULES)
    for name, override in overrides.items():
        row = RULES[row_of(name)]
        if fault := fault_of(name, override.create):
            raise ValueError(fault)
        repeatable = _changed(row.repeatable, override.search, override)
        table[name] = row._replace(repeatable=repeatable, create=_changed(row.create, override.create, override))
    return table


def fault_of(name: str, create: str | None) -> str | None:
    """Why `create` may not follow from what `name` says about creates; None when it may."""
    row = RULES[row_of(name)]
    if create is None or not row.doubtful or create in OF_DOUBT:
        return None
    return f"{create} is not allowed: {row.text}, so the create may have been executed; allowed: {', '.join(OF_DOUBT)}"


def overruled(error: CallError, kind: Kind, table: Table) -> CallError:
    """The error as `table` wants it: the row of its very code, else of its condition; others stay as they are."""
    name = error.code if error.code in table else error.condition
    row = table.get(name)
    return error if not error.condition or row is None or row is RULES.get(name) else _ruled(error, row, kind)


def _ruled(plain: CallError, row: Condition, kind: Kind) -> CallError:
    rule = row.rule(kind, sent=plain.sent)
    error = rule.error(
        plain.message,
        code=plain.code,
        attempts=rule.attempts,
        base_s=rule.base_s,
        sent=plain.sent,
        retry_after_s=plain.retry_after_s,
    )
    error.condition = plain.condition
    by_default = RULES[plain.condition].doubtful  # which no job can change
    error.may_exist = kind is Kind.CREATE and plain.sent and (by_default or isinstance(error, InDoubt))
    if isinstance(error, InDoubt) and row.ends_run:
        error.then = RunStopped(f"{plain.message}; the create that met it is in doubt", code=plain.code)
    return error


def _changed(rule: Rule, word: str | None, override: Override) -> Rule:
    error = CLASSES[word] if word is not None else rule.error
    attempts = rule.attempts if override.attempts is None else override.attempts
    if error is TryAgain and override.attempts is None and rule.error is not TryAgain:
        attempts = DEFAULT_ATTEMPTS
    return Rule(error, attempts, rule.base_s if override.base_s is None else override.base_s)


def row_of(name: str) -> str:
    """The row that holds for a code, `http_<status>` or condition, if need be the one of its prefix."""
    if name in RULES:
        return name
    return condition_of_status(int(name[5:])) if name.startswith("http_") else condition_of_code(int(name))

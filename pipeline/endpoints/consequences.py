"""What follows from each answer: the one table of the vendor's codes and of everything that can go wrong on the way.

Per condition two rules: for calls that may be repeated (P009, P060, P010; each repetition is counted and paid), and
for AI39-1, which has no idempotency key. Codes that the vendor's gateway refuses count as not executed; everything
else that was sent and not clearly answered is in doubt (the vendor has not confirmed this split in writing).

A job may overrule rows (`api.errors`): `effective` builds the table that counts. `consequence` is the one place that
makes an error of what was said.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.endpoints.interface import Refusal
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
    """One row of the table.

    text        what it means, for people
    repeatable  the rule for calls that may be repeated
    create      the rule for creates
    may_exist   a create that met it may have been executed; no job can change that
    ends_run    a create that ends in doubt this way also ends the run, because all others would end the same way
    """

    text: str
    repeatable: Rule
    create: Rule
    may_exist: bool = False
    ends_run: bool = False

    def rule(self, kind: Kind, *, sent: bool) -> Rule:
        """Return the rule for a call. A create that was not sent cannot be in doubt: it may be repeated."""
        if kind is Kind.CREATE and (sent or self.create.error is not InDoubt):
            return self.create
        return self.repeatable


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
    """Make a row for what says that a create was not executed."""
    return Condition(text, rule, rule)


def _unclear(text: str, repeatable: Rule, *, ends_run: bool = False) -> Condition:
    """Make a row for what leaves open whether a create was executed."""
    return Condition(text, repeatable, Rule(InDoubt), may_exist=True, ends_run=ends_run)


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
    "67200100": _unclear("the vendor is busy or timed out", Rule(TryAgain, 4, 1.0)),
    "67200101": _both("the vendor has no such API", _STOP),
    "68300004": _both("the vendor calls a parameter invalid", _FAIL),
    "68300005": _unclear("the vendor's search failed", Rule(TryAgain, 3, 1.0)),
    "68300006": _unclear("the vendor's analytics could not be reached", Rule(TryAgain, 4, 2.0)),
    "68300007": _both("the vendor calls it a bad request", _FAIL),
    "68300008": _unclear("the vendor's service failed; it says try later", Rule(TryAgain, 4, 2.0)),
    "68300010": _both("the vendor does not accept this picture file", _FAIL),
    # --- codes nobody has told us of: by prefix, then any ---
    "672": _unclear("the vendor's platform sent an undocumented code", Rule(TryAgain, 2, 1.0)),
    "683": _unclear("the vendor's service sent an undocumented code", Rule(TryAgain, 2, 1.0)),
    "unknown_code": _unclear("the vendor refused with an unknown code", Rule(TryAgain, 2, 1.0)),
    # --- HTTP without an envelope ---
    "http_401": _both("the vendor refused the credentials (HTTP 401)", _AUTH),
    "http_403": _both("the vendor refused the credentials (HTTP 403)", _AUTH),
    "http_408": _unclear("the vendor gave up waiting (HTTP 408)", Rule(TryAgain, 4, 1.0)),
    "http_429": _both("more calls per second than the account allows (HTTP 429)", _SLOW),
    "http_3xx": _unclear("the vendor redirected the call; redirects are never followed", _STOP, ends_run=True),
    "http_4xx": _both("the vendor refused the request", _FAIL),
    "http_5xx": _unclear("the vendor's gateway failed", Rule(TryAgain, 4, 1.0)),
    # --- the way there and back ---
    "not_sent": _both("the vendor could not be reached", Rule(TryAgain, 4, 0.05)),
    "certificate": _unclear("the vendor's certificate was not accepted", _STOP, ends_run=True),
    "no_answer": _unclear("the answer never came", Rule(TryAgain, 4, 1.0)),
    "malformed": _unclear("the answer is not the JSON it should be", Rule(TryAgain, 4, 1.0)),
    "too_large": _unclear("the answer is larger than any real one", Rule(TryAgain, 4, 1.0)),
    "no_data": _unclear("the vendor says success but sent no data", Rule(TryAgain, 2, 1.0)),
    "no_task_id": _unclear("the vendor says success but sent no task id", Rule(TryAgain, 2, 1.0)),
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


def consequence(
    refusal: Refusal,
    kind: Kind,
    *,
    table: Table,
    sent: bool = True,
    request_id: str | None = None,
    correlation_id: str | None = None,
) -> CallError:
    """Make the error that follows from a refusal, by the row of its very code, else of its condition.

    `sent` is True once a byte may have left. The vendor's own words are put on one line and cut.
    """
    row = _row(table, refusal.code, refusal.condition)
    rule = row.rule(kind, sent=sent)
    # JSON can spell half a surrogate pair, which no file takes.
    said = " ".join(refusal.detail.encode("utf-8", "replace").decode().split())[:2000]
    return rule.error(
        f"{row.text} ({refusal.code}{': ' + said if said else ''})",
        code=refusal.code,
        attempts=rule.attempts,
        base_s=rule.base_s,
        sent=sent,
        retry_after_s=refusal.retry_after_s,
        condition=refusal.condition,
        may_exist=kind is Kind.CREATE and sent and (row.may_exist or rule.error is InDoubt),
        request_id=request_id,
        correlation_id=correlation_id,
    )


def end_of_run(error: InDoubt, table: Table) -> RunStopped | None:
    """Return what ends the run once a create in doubt is recorded; None where other creates may end well."""
    if not _row(table, error.code, error.condition).ends_run:
        return None
    return RunStopped(f"{error.message}; the create that met it is in doubt", code=error.code)


def _row(table: Table, code: str, condition: str) -> Condition:
    return table.get(code) or table[condition]


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
    if create is None or not row.may_exist or create in OF_DOUBT:
        return None
    return f"{create} is not allowed: {row.text}, so the create may have been executed; allowed: {', '.join(OF_DOUBT)}"


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

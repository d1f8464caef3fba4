"""The one table of what follows from each answer: its columns, a job's changes of it, and errors made by it.

`effective` builds the table that counts; `consequence` is the one place that makes an error of what was said.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pipeline.endpoints.interface import Refusal
from pipeline.errors import (
    CallError,
    Code,
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
from pipeline.system.masking import masked


class Rule(NamedTuple):
    """The consequence for one kind of call: the error's class, the attempts in all, the first backoff in seconds."""

    error: type[CallError]
    attempts: int = 1
    base_s: float = 1.0


class Condition(NamedTuple):
    """One row of the table.

    text           what it means, for people
    repeatable     the rule for calls that may be repeated
    create         the rule for creates
    may_exist      a create that met it may have been executed; no job can change that
    ends_run       a create that ends in doubt this way also ends the run, because all others would end the same way
    about_picture  it says something about one picture; any other refusal, repeated, says that the job is wrong
    daily          the account's limit for the day is reached
    names_no_task  a success without a task of its own: repeated, it says that the vendor breaks its contract
    unknown        it stands for codes that have no row of their own, because nobody has told us of them
    denied         the account may not use this endpoint, and perhaps another one that does the same job
    alive          a whole answer that calls itself a success and brings nothing usable: it breaks the contract for one
                   item, and shows at the same time that the vendor is not down
    """

    text: str
    repeatable: Rule
    create: Rule
    may_exist: bool = False
    ends_run: bool = False
    about_picture: bool = False
    daily: bool = False
    names_no_task: bool = False
    unknown: bool = False
    alive: bool = False
    denied: bool = False

    @property
    def full(self) -> bool:
        """Return whether it says that the platform is full, so that all calls pause, whatever became of this one."""
        return self.repeatable.error is HoldAll

    def rule(self, kind: Kind, *, sent: bool) -> Rule:
        """Return the rule for a call. A create that was not sent cannot be in doubt: it may be repeated."""
        if kind is Kind.CREATE and (sent or self.create.error is not InDoubt):
            return self.create
        return self.repeatable


class Override(NamedTuple):
    """A job's changes of one row; None leaves a property as it is. `search` and `create` are words of `CLASSES`."""

    search: str | None = None
    create: str | None = None
    attempts: int | None = None
    base_s: float | None = None
    about_picture: bool | None = None


Table = Mapping[str, Condition]
_LONGEST_CODE = 40  # characters; a number of JSON can have three hundred
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


# The words that a job may use for a create that may have been executed. All other classes take it as not executed, and
# send it again for as long as they last, in this run and in the next.
OF_DOUBT = ("in_doubt", "fail", "retry")


def both(text: str, rule: Rule, *, about_picture: bool = False, daily: bool = False, denied: bool = False) -> Condition:
    """Make a row for what says that a create was not executed."""
    return Condition(text, rule, rule, about_picture=about_picture, daily=daily, denied=denied)


def unclear(
    text: str,
    repeatable: Rule,
    *,
    ends_run: bool = False,
    names_no_task: bool = False,
    unknown: bool = False,
    alive: bool = False,
) -> Condition:
    """Make a row for what leaves open whether a create was executed."""
    return Condition(
        text,
        repeatable,
        Rule(InDoubt),
        may_exist=True,
        ends_run=ends_run,
        names_no_task=names_no_task,
        unknown=unknown,
        alive=alive,
    )


# Our own codes with a property that is asked for. No job changes them: their errors never come from an answer.
OURS: Table = {
    Code.PICTURE: both("the picture cannot be used", Rule(ItemRefused), about_picture=True),
    Code.CHANGED: both("the picture changed since it was searched", Rule(ItemRefused), about_picture=True),
    Code.INCOMPLETE_HITS: both("no hit has all that a task needs", Rule(ItemRefused), about_picture=True),
    Code.TASK_TWICE: unclear("the vendor named another item's task", Rule(TryAgain), names_no_task=True),
    Code.QUOTA: both("calls are refused even at the lowest rate", Rule(RunPaused), daily=True),
}


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
    row = table.get(refusal.code) or table[refusal.condition]
    rule = row.rule(kind, sent=sent)
    # JSON can spell half a surrogate pair, which no file takes. Masked before it is cut: of a secret that lies across
    # the cut only a part would be left, which nothing knows any more.
    said = masked(" ".join(masked(refusal.detail.encode("utf-8", "replace").decode()).split()))[:2000]
    return rule.error(
        f"{row.text} ({refusal.code[:_LONGEST_CODE]}{': ' + said if said else ''})",
        code=refusal.code if refusal.code in table else masked(refusal.code[:_LONGEST_CODE]),
        attempts=rule.attempts,
        base_s=rule.base_s,
        sent=sent,
        retry_after_s=refusal.retry_after_s,
        condition=refusal.condition,
        may_exist=kind is Kind.CREATE and sent and (row.may_exist or rule.error is InDoubt),
        request_id=request_id,
        correlation_id=correlation_id,
    )


def row_for(error: CallError, table: Table) -> Condition | None:
    """Find the row of an error: that of its code, else of its condition; None for an error that no table knows."""
    return table.get(error.code) or table.get(error.condition)


def end_of_run(error: InDoubt, table: Table) -> RunStopped | None:
    """Return what ends the run once a create in doubt is recorded; None where other creates may end well."""
    row = row_for(error, table)
    if row is None or not row.ends_run:
        return None
    return RunStopped(f"{error.message}; the create that met it is in doubt", code=error.code)


def effective(rows: Table, overrides: Mapping[str, Override], *, nearest: Callable[[str], str]) -> Table:
    """Return the rows with a job's overrides among them; `nearest` names the row that a code has without one.

    Raises ValueError for an override that is refused.
    """
    table = dict(rows)
    for name, override in overrides.items():
        row = rows[nearest(name)]
        if fault := fault_of(row, override.create):
            raise ValueError(fault)
        about_picture = row.about_picture if override.about_picture is None else override.about_picture
        table[name] = row._replace(
            repeatable=_changed(row.repeatable, override.search, override),
            create=_changed(row.create, override.create, override),
            about_picture=about_picture,
        )
    return table


def fault_of(row: Condition, create: str | None) -> str | None:
    """Say why a job may not give creates that met this row the class `create`; None when it may."""
    if create is None or not row.may_exist or create in OF_DOUBT:
        return None
    return f"{create} is not allowed: {row.text}, so the create may have been executed; allowed: {', '.join(OF_DOUBT)}"


def _changed(rule: Rule, word: str | None, override: Override) -> Rule:
    error = CLASSES[word] if word is not None else rule.error
    attempts = rule.attempts if override.attempts is None else override.attempts
    if error is TryAgain and override.attempts is None and rule.error is not TryAgain:
        attempts = DEFAULT_ATTEMPTS
    return Rule(error, attempts, rule.base_s if override.base_s is None else override.base_s)

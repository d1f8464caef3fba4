"""The `api` section of a job: the vendor's address, limits on calls, and what follows from errors."""

import difflib
import re
from collections.abc import Iterator
from datetime import time
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from pipeline.endpoints.consequences import CLASSES, DEFAULT_ATTEMPTS, Override, Table, fault_of
from pipeline.endpoints.parameters import Strict
from pipeline.endpoints.patsnap.codes import MAX_ANSWER_S, ROWS, row_of, row_of_recorded, table_with
from pipeline.job.checks import check_account, check_base_url, check_qps, check_time_of_day, check_url, read_time_of_day
from pipeline.job.prices import Amount
from pipeline.models import KINDS, Kind, budget_name

Qps = Annotated[int | float, AfterValidator(check_qps)]
AccountName = Annotated[str, AfterValidator(check_account)]


class QpsSpec(Strict):
    """Calls a second, for each kind of call."""

    search: Qps = 5
    create: Qps = 5
    upload: Qps = 5
    details: Qps = 1
    query: Annotated[Qps, Field(description="Questions for reports of tasks")] = 5


def _each_or_all(value: Any) -> str:
    return "each" if isinstance(value, dict | QpsSpec) else "all"


EachOrAll = Annotated[Annotated[Qps, Tag("all")] | Annotated[QpsSpec, Tag("each")], Discriminator(_each_or_all)]


class BudgetSpec(Strict):
    """Most calls of each kind, and most money, in the life of a run directory, retries included."""

    search_calls: Annotated[int, Field(ge=0)] | None = None
    create_calls: Annotated[int, Field(ge=0)] | None = None
    upload_calls: Annotated[int, Field(ge=0)] | None = None
    query_calls: Annotated[
        int | None, Field(ge=0, description="Questions for reports; a task that is not asked about stays open")
    ] = None
    money: Amount | None = Field(
        default=None, description="Most that all calls together may cost, by `prices`; each needs a price then"
    )
    details: Annotated[int | None, Field(ge=0, description="Patents, not calls: details are billed per patent")] = None


Patience = Annotated[int | float, Field(ge=1, le=600)]


class TimeoutSpec(Strict):
    """Seconds to wait for a whole answer, from the send on. One that comes later is lost, though it may be paid."""

    search: Patience = 15
    create: Patience = 60
    upload: Patience = 60
    details: Patience = 30
    query: Patience = Field(default=15, description="Of a question for a report")


class RetryInDoubt(Strict):
    """Permission to create so many items in doubt once more, in the life of a run directory; some are paid twice."""

    retry: Annotated[int, Field(ge=1, le=1)]
    max_duplicates: Annotated[int, Field(ge=0)]


def _hold_or_retry(value: Any) -> str:
    return "mapping" if isinstance(value, dict | RetryInDoubt) else "word"


def _check_hold(value: Any) -> Any:
    if value != "hold":
        raise ValueError("allowed: hold, or {retry: 1, max_duplicates: N}")
    return value


OnInDoubt = Annotated[
    Annotated[Literal["hold"], BeforeValidator(_check_hold), Tag("word")] | Annotated[RetryInDoubt, Tag("mapping")],
    Discriminator(_hold_or_retry),
]


def check_condition(value: str) -> str:
    """Return `value` if it names a row of the error table; raise ValueError with the nearest one."""
    if value in ROWS or re.fullmatch(r"-?[1-9][0-9]{0,11}|http_[345][0-9]{2}", value):
        return value
    close = difflib.get_close_matches(value.lower(), ROWS, n=1, cutoff=0.6)
    hint = (
        f"did you mean {close[0]!r}?"
        if close
        else "a code of 1 to 12 digits, http_<status>, or one of "
        + ", ".join(name for name in ROWS if not name[0].isdigit())
    )
    raise ValueError(f"no such code or condition; {hint}")


_RISKS = {
    "fail": "a task that exists is recorded as failed, and `retry` would pay for another one",
    "retry": "it is sent up to {attempts} times, each of them may be paid, and it is in doubt when none is answered",
}


def _likely_slips(name: str) -> Iterator[str]:
    """List codes that are probably misspelt: any code may be sent one day, so they are allowed and remarked on."""
    if name in ROWS or not name.isdecimal():
        return
    if re.fullmatch("[345][0-9]{2}", name):
        yield f"api.errors.{name}: this is the vendor's code {name}; the HTTP status is written http_{name}"
    elif len(name) != 8 and (close := difflib.get_close_matches(name, ROWS, n=1, cutoff=0.8)):
        yield f"api.errors.{name}: no code that is known; did you mean {close[0]!r}?"


class ErrorSpec(Strict):
    """The consequence of one code or condition; what is left out stays as it is.

    `search` holds for uploads, details and questions for reports, too. For a create that may have been executed only
    `in_doubt`, `fail` and `retry` are allowed (`fault_of`).
    """

    search: Literal["retry", "slow", "hold", "refresh", "fail", "pause", "stop"] | None = None
    create: Literal["retry", "slow", "hold", "refresh", "fail", "in_doubt", "pause", "stop"] | None = None
    attempts: Annotated[int | None, Field(ge=1, le=10, description="In all, where the class is retry")] = None
    base_s: Annotated[int | float | None, Field(ge=0, le=600, description="First backoff, where it is retry")] = None
    about_picture: Annotated[
        bool | None, Field(description="Where it is fail: it says something about one picture, not about the job")
    ] = None

    def warnings(self, name: str) -> Iterator[str]:
        """List what is allowed but can cost money, or does nothing."""
        yield from _likely_slips(name)
        row = ROWS[row_of(name)]
        if self.create in _RISKS and row.may_exist:
            risk = _RISKS[self.create].format(attempts=self.attempts or DEFAULT_ATTEMPTS)
            yield (
                f"api.errors.{name}: create: {self.create}: {row.text}, so the create may have been executed; {risk}"
            )
        words = [self.search or row.repeatable.error, self.create or row.create.error]
        if (self.attempts is not None or self.base_s is not None) and not {"retry", CLASSES["retry"]} & set(words):
            yield f"api.errors.{name}: attempts and base_s say nothing here: only what is tried again has attempts"
        if self.about_picture is not None and not {"fail", CLASSES["fail"]} & set(words):
            yield f"api.errors.{name}: about_picture says nothing here: only what fails an item is about its picture"


class ApiSpec(Strict):
    """The vendor's address, and limits on calls to it."""

    base_url: Annotated[str, AfterValidator(check_base_url)] = "https://connect.patsnap.com"
    rehearse: bool = Field(
        default=False, description="With base_url sandbox: drawn pictures stand for URLs; --rehearse sets both"
    )
    account: AccountName | None = Field(
        default=None,
        description="Credentials of a name: those of main are PATSNAP_CLIENT_ID__MAIN and PATSNAP_CLIENT_SECRET__MAIN",
    )
    qps: EachOrAll = 5
    timeout_s: TimeoutSpec = TimeoutSpec()
    max_in_flight: Annotated[int, Field(ge=1, le=10_000)] | None = None
    budget: BudgetSpec = BudgetSpec()
    on_in_doubt: OnInDoubt = "hold"
    drain_s: Annotated[int | float, Field(ge=0, le=3600)] = 60
    patience_s: Annotated[
        int | float,
        Field(ge=0, le=86_400, description="How long calls wait for a vendor that cannot be reached; then exit 4"),
    ] = 600
    leases: Annotated[
        str | None,
        Field(
            min_length=1,
            description="A folder that several machines see, or s3://, gs:// or az://: they share the account there",
        ),
    ] = None
    proxy: str | None = None
    ca_file: str | None = None
    quota_resets_at: Annotated[
        Annotated[str, AfterValidator(check_time_of_day)] | None,
        Field(description='When the daily limit starts anew, UTC unless it says: "00:00" or "00:00+08:00"'),
    ] = None
    errors: dict[Annotated[str, AfterValidator(check_condition)], ErrorSpec] = Field(
        default_factory=dict, description="Rows of the error table that are other than the default"
    )

    @field_validator("errors")
    @classmethod
    def _never_undo_a_doubt(cls, rows: dict[str, ErrorSpec]) -> dict[str, ErrorSpec]:
        faults = {name: fault for name, row in rows.items() if (fault := fault_of(ROWS[row_of(name)], row.create))}
        if faults:
            raise ValueError("; ".join(f"api.errors.{name}.create: {fault}" for name, fault in faults.items()))
        return rows

    @field_validator("proxy")
    @classmethod
    def _proxy_url(cls, value: str | None) -> str | None:
        if value is not None:
            check_url(value)
        return value

    @model_validator(mode="after")
    def _rehearse_on_the_sandbox(self) -> Self:
        if self.rehearse and self.base_url != "sandbox":
            raise ValueError("api.rehearse: only with base_url: sandbox; `pipeline run JOB --rehearse` sets both")
        return self

    def qps_of(self, kind: Kind) -> float:
        """Return the calls a second that are allowed for a kind of call."""
        if isinstance(self.qps, QpsSpec):
            return float(getattr(self.qps, kind.value))
        # One number is that of the calls that every item makes; details keep their own pace below it.
        return float(self.qps if kind is not Kind.DETAILS else min(self.qps, QpsSpec().details))

    def timeouts(self) -> dict[Kind, float]:
        """Return how long to wait for the answer to each kind of call."""
        return {kind: float(getattr(self.timeout_s, kind.value)) for kind in (*KINDS, Kind.DETAILS)}

    def budget_of(self, kind: Kind) -> int | None:
        """Return the most calls of a kind in the life of a run directory; None when there is no limit."""
        value: int | None = getattr(self.budget, budget_name(kind), None)
        return value

    @property
    def quota_reset(self) -> time | None:
        """The time of day at which the daily limit starts anew, with its UTC offset; None when the job says none."""
        return None if self.quota_resets_at is None else read_time_of_day(self.quota_resets_at)

    @property
    def duplicates(self) -> int:
        """The number of items in doubt that may be created once more."""
        return self.on_in_doubt.max_duplicates if isinstance(self.on_in_doubt, RetryInDoubt) else 0

    def overrides(self) -> dict[str, Override]:
        """Return the rows of the error table that the job changes."""
        return {name: Override(**row.model_dump()) for name, row in self.errors.items()}

    @cached_property
    def table(self) -> Table:
        """The error table with the job's rows in it."""
        return table_with(self.overrides())

    def is_about_picture(self, code: str) -> bool:
        """Return True if a recorded refusal with this code says something about one picture."""
        row = row_of_recorded(code, self.table)
        return row is not None and row.about_picture

    def is_daily(self, code: str) -> bool:
        """Return True if this code says that the account's limit for the day is reached."""
        row = row_of_recorded(code, self.table)
        return row is not None and row.daily

    def warnings(self) -> list[str]:
        """List what is allowed but probably not meant."""
        short = [
            f"api.timeout_s.{kind.value}: {seconds:g} s is less than the vendor may need ({MAX_ANSWER_S} s): {loss}"
            for kind, seconds in self.timeouts().items()
            for loss in ["creates would end in doubt" if kind is Kind.CREATE else "calls would be paid twice"]
            if seconds < MAX_ANSWER_S
        ]
        return [*short, *(text for name, row in self.errors.items() for text in row.warnings(name))]

"""The errors of this package, by their consequence.

    PipelineError                 one clear line; `exit_code` is what the command ends with
    |-- SpecError           2     the job file or the command's words are wrong
    |-- CallError                 one call to the vendor failed; its class says what happens next
    |   |-- TryAgain              it may pass by itself: the same call is sent again, as often as the table says
    |   |-- SlowDown              too many calls a second: the limiter slows down; it costs the call no attempt
    |   |-- HoldAll               the platform is full: all calls are paused; it costs the call no attempt
    |   |-- Reconnect             the connection became too old before the call's turn: nothing was sent, connect again
    |   |-- RefreshToken          the token was refused: fetch a new one, then send the same call again
    |   |-- ItemRefused           this item fails, the run goes on
    |   |-- InDoubt               a create that may have been executed: never sent again unless the job says so
    |   |-- RunPaused       4     balance, daily limit, budget, vendor down: stop now, `run` again later
    |   |   `-- SystemLimit 5     no open files or memory left here for another connection
    |   `-- RunStopped      3     credentials, permission, broken contract: a person must look
    |       `-- WrongProxy  2     the proxy that the job names lets no call through
    |-- GivenUp                   holds a CallError that ends the run, or that lacked one of the run's retries
    |-- Stopping                  the run is ending, the call was not sent
    |-- NotConfirmed      1     a person does not want to go on after the first item
    |-- StopAsked         1     the program that runs the job wants it to end
    |-- Interrupted 129/130/143   a signal ends the run in good order
    |-- JournalError        5     the journal or the disk cannot be trusted any more
    |   `-- OtherVersion            the journal is whole, and of another version of this program: no repair helps
    `-- RunLocked           6     another process has locked this run directory, or uses the account's calls per second

A failed item is a value (`models.Problem`), not an exception that leaves the engine. Only what stops a run leaves it.
"""

from enum import StrEnum
from typing import ClassVar

from pipeline.system.masking import masked

MONEY = "money"  # names the budget that calls of all kinds share, where others name their kind of call


class Code(StrEnum):
    """Our own codes: reasons why an item is open or a run ended that no answer of the vendor gives.

    Journals, records and summaries hold these values, so none of them may change.
    """

    AIOHTTP = "aiohttp"  # the installed aiohttp could send a call twice
    BAD_NAME = "bad_name"  # a file's name is not UTF-8 text
    BAD_ROW = "bad_row"  # a row of a manifest names no usable picture
    BUDGET = "budget"  # a cap of the job is reached: on a kind of call, on patents, or on money
    CHANGED = "changed"  # a local picture was replaced, and what is paid is of the one that was there before
    CREDENTIALS = "credentials"  # the vendor refused every fresh token
    EXPIRED = "expired"  # the vendor's links are too old: calls waited, the machine slept, or its clock was moved
    ID_TWICE = "id_twice"  # one id for two pictures
    INCOMPLETE_HITS = "incomplete_hits"  # no hit has all the fields that a task needs
    INTERRUPTED = "interrupted"  # the process ended while a create was under way
    LEASES = "leases"  # the store that machines share an account through does not answer
    MAX_IN_DOUBT = "max_in_doubt"  # too many creates ended in doubt
    NO_ANSWER = "no_answer"  # no report came in the time that tasks usually take, or no answer to a call
    NOT_PUBLIC = "not_public"  # the job does not allow local pictures to be uploaded
    PICTURE = "picture"  # a local picture cannot be read, or is of a kind or size that is not allowed
    PROXY = "proxy"  # the proxy refuses its credentials, or does not let the vendor's host through
    QUOTA = "quota"  # calls are refused for their speed even at the lowest rate
    REPAIRED = "repaired"  # the journal was repaired, and cannot say whether a create was executed
    REPORT_FAILED = "report_failed"  # the vendor says that the task failed
    REPORT_LOST = "report_lost"  # the task expired before its report was read
    REPORT_PENDING = "report_pending"  # the task is paid, and its report is not in yet
    SAME_PICTURE = "same_picture"  # another item with the same picture is open
    STALE = "stale"  # a connection became too old before its call's turn
    SYSTEM_LIMIT = "system_limit"  # this machine has no more open files or memory for connections
    TASK_TWICE = "task_twice"  # a create was answered with the task of another item
    UNKNOWN_CODES = "unknown_codes"  # too many answers had codes that are not documented
    VENDOR_DOWN = "vendor_down"  # most calls fail, and waiting did not help


class PipelineError(Exception):
    """The root of all errors of this package; its text is one line a person can act on.

    >>> from pipeline import PipelineError, run_job
    >>> try:
    ...     summary = run_job("portfolio.yaml", overrides=["task.report_lang=de"])
    ... except PipelineError as error:
    ...     print(error.exit_code, error)
    2 portfolio.yaml: --set task.report_lang: 'de' is not allowed; allowed: 'cn' or 'en'
    """

    exit_code: ClassVar[int] = 70


class SpecError(PipelineError):
    """The job file or the command's words are wrong; `lines` holds every fault, one line each.

    >>> from pipeline import SpecError, plan_job
    >>> try:
    ...     plan = plan_job("portfolio.yaml", overrides=["search.limt=20", "task.report_lang=de"])
    ... except SpecError as error:
    ...     for line in error.lines:
    ...         print(line)
    portfolio.yaml: --set search.limt: unknown key; did you mean 'limit'?
    portfolio.yaml: --set task.report_lang: 'de' is not allowed; allowed: 'cn' or 'en'
    """

    exit_code = 2

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class CallError(PipelineError):
    """The failure of one call to the vendor. It never changes, and its text holds no secret.

    message         one line; the vendor's own words in it are cut at 2,000 characters
    code            the vendor's error code, `http_<status>`, a condition of the error table, or a `Code`
    attempts        how often such a call may be sent in all
    base_s          the first backoff, in seconds
    sent            True once a byte may have left
    retry_after_s   how long the vendor asked to wait; None when it did not ask
    condition       the row of the error table; "" where none was asked
    may_exist       True for a create that may have been executed, whatever class a job gave to its error
    request_id      the X-Request-ID of the attempt; None where no attempt was made
    correlation_id  the vendor's own id of the answer; None where it sent none
    """

    message: str
    code: str
    attempts: int
    base_s: float
    sent: bool
    retry_after_s: float | None
    condition: str
    may_exist: bool
    request_id: str | None
    correlation_id: str | None

    def __init__(
        self,
        message: str,
        *,
        code: str,
        attempts: int = 1,
        base_s: float = 1.0,
        sent: bool = True,
        retry_after_s: float | None = None,
        condition: str = "",
        may_exist: bool = False,
        request_id: str | None = None,
        correlation_id: str | None = None,
    ) -> None:
        message = masked(message)
        correlation_id = masked(correlation_id) if correlation_id else correlation_id
        super().__init__(message)
        self.__dict__.update(
            message=message,
            code=code,
            attempts=attempts,
            base_s=base_s,
            sent=sent,
            retry_after_s=retry_after_s,
            condition=condition,
            may_exist=may_exist,
            request_id=request_id,
            correlation_id=correlation_id,
        )

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("__"):  # Python itself sets __traceback__ and its like while an error is raised
            raise AttributeError(f"{name}: a CallError never changes")
        super().__setattr__(name, value)


class TryAgain(CallError):
    """A failure that may pass by itself: the same call is sent again, up to `attempts` times in all."""


class SlowDown(CallError):
    """A refusal of too many calls in a second: the limiter slows down; no attempt is spent."""


class HoldAll(CallError):
    """A refusal because the platform's own limit is reached: all calls are paused; no attempt is spent."""


class Reconnect(CallError):
    """A connection that became too old before the call's turn; nothing was sent and nothing is counted."""


class RefreshToken(CallError):
    """A refusal of the token, before the call was executed: a new one is fetched, the same call is sent again."""


class ItemRefused(CallError):
    """A final refusal of one picture or its request; the run goes on."""


class InDoubt(CallError):
    """A create that was sent and whose answer is missing or unclear: it may exist and be paid."""


class RunPaused(CallError):
    """A reason to end the run although nothing is wrong with the job: `run` again later."""

    exit_code = 4


class SystemLimit(RunPaused):
    """A limit of this machine that keeps calls from being sent; no fault of the vendor's."""

    exit_code = 5


class RunStopped(CallError):
    """A reason to end the run because every further call would be refused alike; a person must look first."""

    exit_code = 3


class WrongProxy(RunStopped):
    """A proxy that lets no call through, whoever the vendor is: the settings are wrong."""

    exit_code = 2


class GivenUp(PipelineError):
    """A failed call whose end concerns more than its item.

    error     the failure itself
    ends_run  the error to end the run with, once the item is recorded: all further calls would fail alike. None: the
              call was not sent again only because the run's retries were used up
    """

    def __init__(self, error: CallError, ends_run: RunPaused | RunStopped | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.ends_run = ends_run


class Stopping(PipelineError):
    """The run is ending and this call was not sent."""


class NotConfirmed(PipelineError):
    """A person saw what the first item came to, and does not want to go on."""

    exit_code = 1


class StopAsked(PipelineError):
    """The program that runs a job asked for its end."""

    exit_code = 1


class Interrupted(PipelineError):
    """A signal ends the run in good order; `exit_code` is 128 + the signal's number."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # the one class whose code depends on the case


class JournalError(PipelineError):
    """The journal or the disk cannot be trusted any more; no further paid call is made.

    >>> from pipeline import JournalError, read_records
    >>> try:
    ...     records = read_records("runs")
    ... except JournalError as error:
    ...     print(error)
    runs: no results here (no results.jsonl); name a run directory, such as runs/demo
    """

    exit_code = 5


class OtherVersion(JournalError):
    """The journal was written by another version of this program; it is not damaged."""


class RunLocked(PipelineError):
    """Another process has locked this run directory, or uses the calls per second of its account.

    >>> from pipeline import RunLocked, run_job
    >>> try:
    ...     summary = run_job("portfolio.yaml")
    ... except RunLocked as error:
    ...     print("later:", error)
    """

    exit_code = 6

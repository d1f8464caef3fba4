"""The glossary of this project as types; every other module speaks in these words.

item     one product picture                      hit      one similar patent
task     the vendor's infringement task           record   the outcome of one item, one JSONL line
run      one execution of a job, with a run directory
report   what the vendor writes for a task        poll     one call that asks whether a report is in
settled  reported, tasked, no_hits or searched
open     failed, in_doubt, expired, report_pending, report_failed or report_lost

Everything here is free of I/O, and frozen unless it says so. Times are seconds since the epoch (UTC).
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pipeline.system.checksum import crc32

# The prefixes of the identity of a picture that is known by its bytes, and by its path where they cannot be read.
CONTENT, BY_PATH = "sha256:", "path:"
PIXELS = "pixels:"  # of one that is known by its pixels, until the first item that shows them is found
SANDBOX_HOST = "sandbox.invalid"  # the host of the pictures that the sandbox knows; nobody can own it (RFC 2606)
# Links to uploads and to hits expire 9 hours after the answer, tasks after 8 hours.
HITS_LIFE_S, UPLOAD_LIFE_S, TASK_LIFE_S = 9 * 3600, 9 * 3600, 8 * 3600
# A create is not started on hits that have less than this left: the vendor reads them after it has answered.
EXPIRY_MARGIN_S = 15 * 60


class Kind(enum.StrEnum):
    """A kind of call, which has a limiter and a budget of its own; TOKEN has neither.

    The error table has one rule for creates, and one for all other kinds.
    """

    UPLOAD = "upload"  # P010
    SEARCH = "search"  # one picture, or several views of a product; further pages
    CREATE = "create"  # a task, or a submit that searches, too: never repeated blindly
    QUERY = "query"  # for a report; it may be repeated, and whether it is billed is not known
    DETAILS = "details"  # D301, P014: of hits, for people; billed per patent found, and no item waits for it to be paid
    TOKEN = "token"  # noqa: S105 - not a password; not billed, not limited by the account's QPS

    __hash__ = (
        str.__hash__
    )  # that of `Enum` is a function in Python, and each call is counted by its kind a dozen times


PAID = (Kind.UPLOAD, Kind.SEARCH, Kind.CREATE)
KINDS = (*PAID, Kind.QUERY)  # whose budgets count calls; that of DETAILS counts patents


def budget_name(kind: Kind) -> str:
    """Name the budget of a kind of call, as the job file does; that of DETAILS counts patents."""
    return kind.value if kind is Kind.DETAILS else f"{kind.value}_calls"


class State(enum.IntEnum):
    """An item's state. The numbers are in every journal on disk."""

    PENDING = 0  # nothing is paid yet, or only an upload
    SEARCHED = 1  # a search is paid and its hits are in the spool
    CREATING = 2  # the intent is written: a create may be on its way
    TASKED = 10
    NO_HITS = 11
    SEARCH_ONLY = 12  # `searched` in a record: tasks are disabled
    REPORTED = 13  # the task's report is in the record
    FAILED = 20
    IN_DOUBT = 21  # a create may have been executed; a person decides, or the job (api.on_in_doubt)
    EXPIRED = 22
    REPORT_PENDING = 23  # the task is paid, its report is not in yet
    REPORT_FAILED = 24  # the vendor says that it failed, or does not come to an answer
    REPORT_LOST = 25  # the task expired before its report was read

    @property
    def word(self) -> str:
        """The state as people and records call it."""
        return "searched" if self is State.SEARCH_ONLY else self.name.lower()

    @classmethod
    def of_word(cls, word: str) -> "State | None":
        """Find the settled or open state that records call so; None where there is none."""
        return next((state for state in (*SETTLED, *OPEN) if state.word == word), None)


SETTLED = (State.REPORTED, State.TASKED, State.NO_HITS, State.SEARCH_ONLY)
OF_REPORT = (State.REPORT_PENDING, State.REPORT_FAILED, State.REPORT_LOST)  # a task is paid, and not read
OPEN = (State.FAILED, State.IN_DOUBT, State.EXPIRED, *OF_REPORT)
WAITING = (State.PENDING, State.SEARCHED)
UNFINISHED = (*WAITING, State.CREATING)


@dataclass(frozen=True, slots=True)
class Problem:
    """The reason why an item is open."""

    stage: str  # read, upload, search, create or report
    code: str  # the vendor's error code, or a word of ours (errors.Code)
    message: str  # one line for people
    consequence: str  # fail, retry or in_doubt
    retryable: bool  # whether the next run tries again by itself
    request_id: str | None = None  # of the call that failed; None when none was made
    correlation_id: str | None = None  # the vendor's own id of that call; None when it sent none

    def with_earlier(self, doubt: "Problem") -> "Problem":
        """Append that an earlier create of the same item is in doubt too."""
        earlier = f"an earlier create of this item is in doubt too (request {doubt.request_id}): {doubt.message}"
        return replace(self, message=f"{self.message}; {earlier}")


class Item(msgspec.Struct, frozen=True, gc=False):  # made a million times: a dataclass takes ten times as long
    """One product picture of a job.

    source    as the user named it: a URL, or a path relative to the job's root with forward slashes
    local     whether `source` is a path
    origin    the place where it was listed (`images[3]`, `portfolio.csv:12`)
    problem   the reason why it cannot be worked on, else None: a listed thing never vanishes
    picture   the identity of its picture, which items with the same picture share; "" when its source is its identity
    own       the digest of its own bytes, where its picture is known by those of another file; "" where not
    """

    id: str
    source: str
    local: bool
    origin: str
    labels: dict[str, str]
    problem: Problem | None = None
    picture: str = ""
    own: str = ""

    def __eq__(self, other: object) -> bool:
        """Compare what the job lists; `picture` and `own` were found by reading files, and do not count."""
        if not isinstance(other, Item):
            return NotImplemented
        return msgspec.structs.astuple(self)[:-2] == msgspec.structs.astuple(other)[:-2]

    @property
    def identity(self) -> str:
        """The identity of its picture."""
        return self.picture or f"{BY_PATH if self.local else 'url:'}{self.source}"


@dataclass(frozen=True, slots=True)
class PictureChange:
    """A known id under which another picture is listed now."""

    id: str
    before: str  # the source that is known
    now: str  # the source that is listed


@dataclass(frozen=True, slots=True)
class Admitted:
    """The outcome of entering a batch of items."""

    new: int  # items that were not known
    failed: int  # of the new ones, those that cannot be worked on
    repeated: int  # rows with an id and a picture that came before in the same reading
    changes: tuple[PictureChange, ...]
    doubtful: int = 0  # of the new ones, those that a damaged journal may have forgotten: they are in doubt


@dataclass(frozen=True, slots=True)
class Upload:
    """A local picture made reachable: its public URL, until `expires_at`."""

    url: str
    expires_at: float


class Hits(msgspec.Struct, frozen=True):
    """The answer of one search.

    array        the vendor's own JSON array of hits, byte for byte but for raw line breaks between tokens
    scores       per hit, 0 to 1; None where the vendor sent none
    complete     per hit, False where one of AI39-1's required fields is missing
    total        all results at the vendor
    request_id   of the search, whose answer came `at`
    endpoint     the endpoint that was asked, and `params` its parameters; empty where an early version noted neither
    crc          the array's CRC-32, taken when it came, so that nobody has to read it through again; never given
    """

    array: bytes
    scores: tuple[float | None, ...]
    complete: tuple[bool, ...]
    total: int
    request_id: str
    at: float
    endpoint: str = ""
    params: Mapping[str, Any] = msgspec.field(default_factory=dict)
    reused_from: tuple[str, str] | None = None  # the run directory and its item whose search this is; None = our own
    crc: int = 0

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "crc", crc32(self.array))

    @property
    def expires_at(self) -> float:
        """The time at which the links in the hits expire."""
        return self.at + HITS_LIFE_S


class Choice(msgspec.Struct, frozen=True):
    """The hits that go into the task."""

    array: bytes  # a JSON array
    count: int  # of the hits in it
    dropped: int  # how many more were left out because they are incomplete


class Task(msgspec.Struct, frozen=True):
    """A created infringement task."""

    task_id: str
    at: float

    @property
    def expires_at(self) -> float:
        """The time at which the vendor forgets the task."""
        return self.at + TASK_LIFE_S


class Calls(msgspec.Struct, omit_defaults=True):
    """HTTP attempts spent on one item over all runs, retries included.

    Not frozen: it counts up. The first three are in every record, also as zeros; the others only where there was one.
    """

    upload: int = msgspec.field(default_factory=int)
    search: int = msgspec.field(default_factory=int)
    create: int = msgspec.field(default_factory=int)
    query: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.upload + self.search + self.create + self.query

    def add(self, kind: Kind, count: int = 1) -> None:
        """Count an attempt."""
        setattr(self, kind, getattr(self, kind) + count)


class Work(msgspec.Struct):
    """An item that is worked on, with what is already paid for it. Not frozen: the engine adds to it."""

    ord: int  # its number in the journal
    item: Item
    calls: Calls  # spent on it so far
    upload: Upload | None = None  # of a local picture; None before there is one
    sha256: str | None = None  # of a local picture; None before it was read
    hits: Hits | None = None  # of its search; None before there are any
    doubt: Problem | None = None  # set when an earlier create may have been executed, and it may be created once more
    changed: bool = False  # True when its file has other bytes by now than were sent, and that matters (engine/cost)
    anew: bool = False  # True when a person wants its picture searched as it is now, whatever is paid for it
    listed: bool = True  # False for an open item that the job lists no longer: a run does not work on it
    uploads: int = 1  # that it needs where its pictures are not uploaded: one, or with views one for each that is not
    reused: Task | None = None  # of another run, which stands for one of its own (engine/reuse)
    free: bool = False  # True when what is reused settles it without a call
    repeats: bool = False  # True for an item in doubt that the next run creates once more because the job says so

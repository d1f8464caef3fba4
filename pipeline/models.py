"""The words of this project as types; every other module speaks in them.

item     one product picture                      hit      one similar patent
task     the vendor's infringement task           record   the outcome of one item, one JSONL line
run      one execution of a job, with a run directory
settled  tasked, no_hits or searched              open     failed, in_doubt or expired

Everything here is frozen and free of I/O. Times are seconds since the epoch (UTC); `iso` writes them for people.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pipeline.system.checksum import crc32, joined

# Links to uploads and to hits die 9 hours after the answer, tasks after 8 (api-contract.md).
SANDBOX_HOST = "sandbox.invalid"  # of the pictures that the sandbox knows; nobody can own it (RFC 2606)
HITS_LIFE_S = 9 * 3600
UPLOAD_LIFE_S = 9 * 3600
TASK_LIFE_S = 8 * 3600
# A create is not started on hits that have less than this left: the vendor reads them after it has answered.
EXPIRY_MARGIN_S = 15 * 60


class Kind(enum.StrEnum):
    """A kind of call: each has its own limiter, budget and column in the error table."""

    UPLOAD = "upload"  # P010
    SEARCH = "search"  # P009, P060
    CREATE = "create"  # AI39-1: never repeated blindly
    TOKEN = "token"  # noqa: S105 - not a password; not billed, not limited by the account's QPS


PAID = (Kind.UPLOAD, Kind.SEARCH, Kind.CREATE)


class State(enum.IntEnum):
    """Where an item stands in the journal."""

    PENDING = 0  # nothing paid yet, or only an upload
    SEARCHED = 1  # a search is paid and its hits are in the spool
    CREATING = 2  # the intent: a create may be on its way
    TASKED = 10
    NO_HITS = 11
    SEARCH_ONLY = 12  # `searched` in a record: tasks are disabled
    FAILED = 20
    IN_DOUBT = 21
    EXPIRED = 22

    @property
    def word(self) -> str:
        """The state as people and records call it."""
        return "searched" if self is State.SEARCH_ONLY else self.name.lower()


SETTLED = (State.TASKED, State.NO_HITS, State.SEARCH_ONLY)
OPEN = (State.FAILED, State.IN_DOUBT, State.EXPIRED)
WAITING = (State.PENDING, State.SEARCHED)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an item is open: what happened, what follows from it, and whether a later run may try again."""

    stage: str  # read | upload | search | create
    code: str
    message: str
    consequence: str
    retryable: bool
    request_id: str | None = None
    correlation_id: str | None = None


def earlier(doubt: Problem) -> str:
    """What is said of a create in doubt once another one was made for the same item."""
    return f"an earlier create of this item is in doubt too (request {doubt.request_id}): {doubt.message}"


@dataclass(frozen=True, slots=True)
class Item:
    """One product picture of a job.

    `source` is what the user named: a URL, or a path relative to the job's root with forward slashes (`local` is True).
    `origin` says where it was listed (`images[3]`, `portfolio.csv:12`). A listed thing that cannot be worked on is an
    item with a `problem`: it never vanishes.
    """

    id: str
    source: str
    local: bool
    origin: str
    labels: dict[str, str]
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A local picture made reachable: its public URL, until `expires_at`."""

    url: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Hits:
    """The answer of one search.

    `array` is the vendor's own JSON array of hits, byte for byte but for raw line breaks between tokens. `scores[i]` is
    None where the vendor sent none; `complete[i]` is False where one of AI39-1's required fields is missing. `total`
    counts all results at the vendor, `at` is when the answer came; `endpoint` and `params` are what was asked. `crc` is
    the array's CRC-32, taken when it came, so that nobody has to read it through again.
    """

    array: bytes
    scores: tuple[float | None, ...]
    complete: tuple[bool, ...]
    total: int
    request_id: str
    at: float
    endpoint: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    crc: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "crc", crc32(self.array))

    @property
    def expires_at(self) -> float:
        """When the links in the hits die."""
        return self.at + HITS_LIFE_S


@dataclass(frozen=True, slots=True)
class Choice:
    """What of the hits goes into the task: a JSON array of `count` hits, and how many incomplete ones were left out."""

    array: bytes
    count: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Task:
    """A created infringement task."""

    task_id: str
    at: float

    @property
    def expires_at(self) -> float:
        """When the vendor forgets the task."""
        return self.at + TASK_LIFE_S


_END = b"}\n"


@dataclass(frozen=True, slots=True)
class Spliced:
    """A record's line in parts, so that its hits need not be copied: what stands before them, and the hits."""

    head: bytes
    hits: bytes
    hits_crc: int

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)

    def __len__(self) -> int:
        return len(self.head) + len(self.hits) + len(_END)

    @property
    def parts(self) -> tuple[bytes, bytes, bytes]:
        """The line's bytes in order."""
        return self.head, self.hits, _END

    @property
    def crc(self) -> int:
        """The CRC-32 of the whole line."""
        return crc32(_END, joined(crc32(self.head), self.hits_crc, len(self.hits)))


class Calls(msgspec.Struct):
    """HTTP attempts spent on one item over all runs, retries included. The one thing here that counts up."""

    upload: int = 0
    search: int = 0
    create: int = 0

    def add(self, kind: Kind, count: int = 1) -> None:
        """Count an attempt of a paid kind."""
        setattr(self, kind.value, getattr(self, kind.value) + count)


@dataclass(slots=True)
class Work:
    """An item on its way: where it stands in the journal (`ord`), and what is already paid for it.

    With a `doubt` it was created before, perhaps, and may be created once more.
    """

    ord: int
    item: Item
    calls: Calls
    upload: Upload | None = None
    sha256: str | None = None
    hits: Hits | None = None
    doubt: Problem | None = None


# --- outcomes: what `process_item` can end with; `match` on them and end with assert_never ---


@dataclass(frozen=True, slots=True)
class Tasked:
    """The task exists."""

    hits: Hits
    choice: Choice
    task: Task


@dataclass(frozen=True, slots=True)
class NoHits:
    """Nothing was found at or above the asked score, within the filters."""

    hits: Hits


@dataclass(frozen=True, slots=True)
class SearchOnly:
    """Searched; tasks are disabled in the job."""

    hits: Hits


@dataclass(frozen=True, slots=True)
class Failed:
    """The item failed; what was paid for it (its hits) stays in the spool."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A create was sent and may have been executed."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Lapsed:
    """The vendor's links expired before the task could be created, also those of a second search."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class PutBack:
    """The run is stopping: the item waits where it stands, with the hits that are already paid."""

    hits: Hits | None


Settled = Tasked | NoHits | SearchOnly
Outcome = Settled | Failed | Lapsed | Doubtful | PutBack

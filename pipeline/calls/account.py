"""One account, many processes: those of this machine that share a client id (or API key) and an address share its QPS.

Each process that takes part holds a slot, a locked file in the user's state folder, with a note of its share beside it.
The sum of the shares of all held slots is at most 1. Nothing needs to be cleaned up after a death of any kind: the
system unlocks a dead process's slot, and a slot that is not locked counts for nothing.
"""

import contextlib
import hashlib
import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from pipeline.calls.access import Credentials
from pipeline.calls.limiter import MARGIN_S
from pipeline.errors import JournalError, RunLocked, SpecError
from pipeline.system.clock import steady
from pipeline.system.files import write_whole

POLL_S = 0.25
_DOOR_S = 30.0
_ROUNDING = 1e-9

Busy = Literal["wait", "exit"]


@dataclass(frozen=True, slots=True)
class Part:
    """What a process may use of its account: `share` of every QPS.

    `used_before` says that another process may have sent, `since` when none has (seconds of `clock.steady`): since it
    ended, or, if it died or goes on, since we came.
    """

    share: float = 1.0
    since: float = 0.0
    used_before: bool = False

    def qps(self, qps: float) -> float:
        """Our calls per second of the account's. Raises SpecError when that is less than one.

        Rounded down: fractions of several processes could come together within one second.
        """
        if self.share == 1.0:
            return qps
        ours = math.floor(qps * self.share + _ROUNDING)
        if ours < 1:
            raise SpecError(
                f"--share {self.share:g} of {qps:g} calls a second is less than one; take a larger share, or run alone"
            )
        return float(ours)

    def rest_s(self, qps: float, *, now: float) -> float:
        """Seconds to rest before the first call: whoever died before us may have used all of the limit just now."""
        window_s = max(1.0, 1.0 / qps) + MARGIN_S
        return max(0.0, self.since + window_s - now) if self.used_before else 0.0


def account_of(base_url: str, credentials: Credentials) -> str:
    """The name of an account's files: a digest that gives away neither the id nor the key."""
    parts = urlsplit(base_url.lower())
    host = parts.netloc.removesuffix(":443" if parts.scheme == "https" else ":80")
    who = f"id {credentials.client_id}" if credentials.client_id else f"key {credentials.api_key}"
    return hashlib.sha256(f"{parts.scheme}://{host}\n{who}".encode()).hexdigest()


@contextmanager
def take_part(
    folder: Path, account: str, *, job: str, share: float = 1.0, busy: Busy = "exit", say: Callable[[str], None]
) -> Iterator[Part]:
    """Hold a share of an account for as long as this lasts.

    When too little of it is free, `busy` decides: `exit` raises RunLocked that names the holder, `wait` says so once
    and goes on when it is free. Raises JournalError when the folder cannot be written.
    """
    slot: FileLock | None = None
    told = ""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            slot, last_use, full = _try(folder, account, job=job, share=share)
            if slot is not None:
                break
            if busy == "exit":
                raise RunLocked(f"{full.said}; {full.way_out}")
            if not told:
                told = full.said
                say(f"waiting: {full.said}")
            time.sleep(POLL_S)
    except OSError as exc:
        raise JournalError(
            f"{folder}: the folder that keeps processes from using an account at once cannot be written: "
            f"{exc.strerror or exc}; check it, or set XDG_STATE_HOME"
        ) from None
    if told:
        say("the account is free; going on")
    try:
        yield Part(share, last_use or 0.0, last_use is not None)
    finally:
        with contextlib.suppress(OSError):  # then the next one rests a second for nothing
            _write_note(Path(slot.lock_file), job=job, share=share, ended=steady())
        slot.release()


class _Full(NamedTuple):
    """Who holds the account, and what to do about it."""

    said: str
    way_out: str


def _try(folder: Path, account: str, *, job: str, share: float) -> tuple[FileLock | None, float | None, _Full]:
    """Take a free slot if enough of the account is free; when it was used last, if ever, and who holds it."""
    with FileLock(folder / f"{account}.lock", timeout=_DOOR_S, mode=0o600):  # one process at a time counts the shares
        free, taken, holder, last_use = _look(folder, account)
        said = f"the calls per second of this account are in use{holder}, {taken:g} of 1 taken"
        full = _Full(said, _way_out(1.0 - taken, share))
        if taken + share > 1.0 + _ROUNDING:
            free.release()
            return None, last_use, full
        _write_note(Path(free.lock_file), job=job, share=share)
        return free, last_use, full


def _way_out(free: float, share: float) -> str:
    """What to do when `free` of the account is less than `share`."""
    wait = "wait for it (--busy wait)"
    free = math.floor(free * 100 + 1e-6) / 100  # never more than there is, however it is printed
    if free > 0:
        return f"{free:g} of 1 is free, and {share:g} was asked for: take less (--share {free:g}), or {wait}"
    return f"nothing of it is free: {wait}, or start that one anew with a share too, for example each with --share 0.5"


def _look(folder: Path, account: str) -> tuple[FileLock, float, str, float | None]:
    """Go through all slots: hold the first free one, add up the shares of the others, name one who holds.

    Also when any of them may have sent last, in seconds of `clock.steady`; None when there was nobody ever.
    """
    free: FileLock | None = None
    taken, holder, number, now = 0.0, "", 0, steady()
    last_use: float | None = None
    while (known := _slot(folder, account, number).exists()) or free is None:
        lock = FileLock(_slot(folder, account, number), timeout=0, mode=0o600)
        try:
            lock.acquire()
        except Timeout:
            theirs, who = _note(Path(lock.lock_file))
            taken, holder, last_use = taken + theirs, holder or who, now
        else:
            if known:
                last_use = max(last_use or 0.0, _ended(Path(lock.lock_file), now))
            if free is None:
                free = lock
            else:
                lock.release()
        number += 1
    return free, taken, holder, last_use


def _slot(folder: Path, account: str, number: int) -> Path:
    return folder / f"{account}.{number}.lock"


def _note(slot: Path) -> tuple[float, str]:
    """The share of the process that holds a slot, and who it is; one that cannot be read holds all."""
    try:
        note = json.loads(slot.with_suffix(".json").read_text(encoding="utf-8"))
        return float(note["share"]), f" by pid {int(note['pid'])} (job {note['job']!s:.64})"
    except (OSError, ValueError, KeyError, TypeError):
        return 1.0, ""


def _ended(slot: Path, now: float) -> float:
    """When the process that had a free slot ended; `now` when it did not say so, for it may have died just now."""
    try:
        ended = float(json.loads(slot.with_suffix(".json").read_text(encoding="utf-8"))["ended"])
    except (OSError, ValueError, KeyError, TypeError):
        return now
    return (
        ended if ended <= now else 0.0
    )  # later than now: the machine was started anew, which takes longer than a second


def _write_note(slot: Path, *, job: str, share: float, ended: float | None = None) -> None:
    note = {"pid": os.getpid(), "host": socket.gethostname(), "job": job, "share": share}
    text = json.dumps(note if ended is None else note | {"ended": ended})
    write_whole(slot.with_suffix(".json"), text.encode(), durable=False)

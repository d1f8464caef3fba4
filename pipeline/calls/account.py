"""One account shared by several processes: those of this machine with the same credentials and address share its QPS.

Each process that uses an account holds a slot: a locked file in the user's state folder, with a note of its share
beside it. The shares of all held slots add up to at most 1. Nothing needs to be cleaned up after a crash: the system
unlocks the slot of a dead process, and a slot that is not locked counts for nothing.
"""

import contextlib
import hashlib
import ipaddress
import json
import math
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from pipeline.calls.limiter import Limiter
from pipeline.calls.margin import MARGIN_S
from pipeline.endpoints.patsnap.credentials import BASE_HOSTS, Credentials
from pipeline.errors import JournalError, RunLocked, SpecError
from pipeline.models import Kind
from pipeline.system.clock import steady
from pipeline.system.drafts import SHARED_S, sweep
from pipeline.system.fault import Fault
from pipeline.system.files import write_whole

POLL_S = 0.25  # a process that waits for the account tries again this often
COUNTING_S = 30.0  # the longest wait for another process that adds up the shares; it takes milliseconds
_ROUNDING = 1e-9
_THIS_MACHINE = "127.0.0.1"

Busy = Literal["wait", "exit"]


@dataclass(frozen=True, slots=True)
class Part:
    """The part of an account that this process may use.

    share        the part of every QPS that is ours: above 0, at most 1
    since        steady time (seconds of `clock.steady`) after which no other process sent anything: the end of the last
                 one, or our own start when another one died or goes on beside us
    used_before  True when another process used the account before, so that `since` counts
    """

    share: float = 1.0
    since: float = 0.0
    used_before: bool = False

    def qps(self, qps: float) -> float:
        """Return our calls per second of the account's `qps`. Raises SpecError when that is less than one.

        Rounded down: the fractions of several processes could come together within one second.
        """
        if self.share == 1.0:
            return qps
        ours = math.floor(qps * self.share + _ROUNDING)
        if ours < 1:
            least = math.ceil(100 / qps) / 100
            what = f"{self.share:g} of {qps:g} {'call' if qps == 1 else 'calls'} a second is less than one"
            raise SpecError(
                Fault(
                    f"{what}; take a larger share, or run alone",
                    where=f"--share {self.share:g}",
                    fix=f"--share {least:g}" if least < 1 else "",
                )
            )
        return float(ours)

    def limiter(self, kind: Kind, qps: float, say: Callable[[str], None]) -> Limiter:
        """Return a limiter for our calls of one kind, quiet as long as need be. Raises SpecError as `qps` does."""
        limiter = Limiter(self.qps(qps), kind=kind, say=say)
        limiter.pause(self.quiet_s(limiter.qps, now=steady()))
        return limiter

    def quiet_s(self, qps: float, *, now: float) -> float:
        """Return the seconds to send nothing at the start: the process before may have used up the limit just now."""
        window_s = max(1.0, 1.0 / qps) + MARGIN_S
        return max(0.0, self.since + window_s - now) if self.used_before else 0.0


class Share(Protocol):
    """A share of an account's calls per second: fixed (`Part`), or leased and changing while a run goes on."""

    def limiter(self, kind: Kind, qps: float, say: Callable[[str], None]) -> Limiter:
        """Return the limiter of our calls of one kind, of which the account allows `qps` a second."""


def account_of(base_url: str, credentials: Credentials) -> str:
    """Name an account's files by a digest, which gives away neither the client id nor the API key.

    However the vendor's host is spelled, it is one account: one key works at both of its addresses.
    """
    parts = urlsplit(base_url.lower())
    host = _one_spelling(parts.hostname or "")
    port = "" if parts.port in (None, 443 if parts.scheme == "https" else 80) else f":{parts.port}"
    who = f"id {credentials.client_id}" if credentials.client_id else f"key {credentials.api_key}"
    return hashlib.sha256(f"{parts.scheme}://{host}{port}\n{who}".encode()).hexdigest()


def _one_spelling(host: str) -> str:
    """Return the one spelling of a host: of the vendor's two, of this machine's many, and of an address's."""
    host = host.rstrip(".")
    if host in BASE_HOSTS:
        return BASE_HOSTS[0]
    if host == "localhost" or host.endswith(".localhost"):
        return _THIS_MACHINE
    try:
        address = ipaddress.ip_address(host if ":" in host else socket.inet_aton(host))
    except (ValueError, OSError):
        return host
    address = getattr(address, "ipv4_mapped", None) or address
    return _THIS_MACHINE if address.is_loopback else str(address)


@contextmanager
def use_account(
    folder: Path,
    account: str,
    *,
    job: str,
    share: float = 1.0,
    leases: str = "",
    waits: Callable[[], bool] = lambda: False,
    say: Callable[[str], None],
) -> Iterator[Part]:
    """Hold a share of an account until the context ends.

    Processes that lease the account at one place, named by `leases`, share it there and not here: none is in the way of
    another. Those that do not lease it there find it in use.

    While too little of it is free, it `waits` for as long as that is true, and tells `say` so once; else it raises
    RunLocked, which names a process that uses the account. Raises JournalError when the folder cannot be written.
    """
    waiting = False
    ours = {"pid": os.getpid(), "host": socket.gethostname(), "job": job, "share": share, "leases": leases}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while (claim := _claim(folder, account, ours)).slot is None:
            if not waits():
                raise RunLocked(Fault(f"{claim.in_use}; {_way_out(claim.found, share, leases)}", fix="--busy wait"))
            if not waiting:
                waiting = True
                say(f"waiting: {claim.in_use}")
            time.sleep(POLL_S)
    except OSError as exc:
        what = "the folder that keeps processes from using an account at once cannot be written"
        more = f"{exc.strerror or exc}; check it, or set XDG_STATE_HOME"
        raise JournalError(Fault(f"{what}: {more}", where=str(folder))) from None
    if waiting:
        say("the account is free; going on")
    last_use = claim.found.last_use
    try:
        yield Part(share, last_use or 0.0, last_use is not None)
    finally:
        with contextlib.suppress(OSError):  # without its end in the note, the next process is quiet for nothing
            _write_note(Path(claim.slot.lock_file), ours | {"ended": steady()})
        claim.slot.release()


class _Found(NamedTuple):
    """The state of all slots of an account.

    free      the first free slot, locked by us
    taken     the shares of all other processes, added up
    holder    one of these processes in words, with a space before; "" when there is none or its note is unreadable
    leased    True when one of them leases the account, and so takes no share of it here
    last_use  steady time at which another process may have sent last; None when there never was another one
    """

    free: FileLock
    taken: float
    holder: str
    leased: bool
    last_use: float | None


class _Claim(NamedTuple):
    """An attempt to get a slot: the slot, locked by us, or None when too little of the account is free."""

    slot: FileLock | None
    found: _Found

    @property
    def in_use(self) -> str:
        """The refusal in words."""
        return f"the calls per second of this account are in use{self.found.holder}, {self.found.taken:g} of 1 taken"


def _claim(folder: Path, account: str, ours: Mapping[str, Any]) -> _Claim:
    """Lock a free slot and write our note beside it, if enough of the account is free for the share it names."""
    # One process at a time adds up the shares: two that did it at once would both find enough.
    with FileLock(folder / f"{account}.lock", timeout=COUNTING_S, mode=0o600):
        sweep(folder, [rf"{re.escape(account)}\.[0-9]+\.json"], older_s=SHARED_S)
        found = _find(folder, account, leases=ours["leases"])
        if found.taken + ours["share"] > 1.0 + _ROUNDING:
            found.free.release()
            return _Claim(None, found)
        _write_note(Path(found.free.lock_file), ours)
        return _Claim(found.free, found)


def _find(folder: Path, account: str, *, leases: str) -> _Found:
    """Look at every slot that exists, and lock the first free one; a new one when none is free.

    What is leased at the same place as ours is shared there: it is passed over.
    """
    free: FileLock | None = None
    taken, holder, leased, number, now = 0.0, "", False, 0, steady()
    last_use: float | None = None
    while (known := _slot(folder, account, number).exists()) or free is None:
        lock = FileLock(_slot(folder, account, number), timeout=0, mode=0o600)
        try:
            lock.acquire()
        except Timeout:
            theirs, who, where = _read_note(Path(lock.lock_file))
            if not leases or where != leases:
                taken, holder, leased, last_use = taken + theirs, holder or who, leased or bool(where), now
        else:
            if known and not (leases and _read_note(Path(lock.lock_file))[2] == leases):
                last_use = max(last_use or 0.0, _ended(Path(lock.lock_file), now))
            if free is None:
                free = lock
            else:
                lock.release()
        number += 1
    return _Found(free, taken, holder, leased, last_use)


def _way_out(found: _Found, share: float, leases: str) -> str:
    """Say what to do when less than `share` of an account is free; `leases` is where we lease it, or ""."""
    wait = "wait for it (--busy wait)"
    if leases or found.leased:  # no share is asked for then, and none helps beside it
        return f"whoever leases it (api.leases) needs all of it here: {wait}, or lease both at one place"
    free = math.floor((1.0 - found.taken) * 100 + 1e-6) / 100  # never more than there is, however it is printed
    if free > 0:
        return f"{free:g} of 1 is free, and {share:g} was asked for: take less (--share {free:g}), or {wait}"
    return f"nothing of it is free: {wait}, or start that one anew with a share too, for example each with --share 0.5"


def _slot(folder: Path, account: str, number: int) -> Path:
    return folder / f"{account}.{number}.lock"


def _read_note(slot: Path) -> tuple[float, str, str]:
    """Return the share of the process that holds a slot, who it is, and where it leases the account.

    A note that is unreadable counts as all.
    """
    try:
        note = json.loads(slot.with_suffix(".json").read_text(encoding="utf-8"))
        leases = str(note.get("leases", ""))
        who = f" by pid {int(note['pid'])} (job {note['job']!s:.64})"
        return float(note["share"]), f"{who}, which leases it (api.leases)" if leases else who, leases
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 1.0, "", ""


def _ended(slot: Path, now: float) -> float:
    """Return the steady time at which the last process in a free slot ended; `now` when its note does not say.

    A process that was killed wrote no end, so it may have sent just now. An end later than now was written before the
    machine was started again, which takes longer than any window: that counts as long ago.
    """
    try:
        ended = float(json.loads(slot.with_suffix(".json").read_text(encoding="utf-8"))["ended"])
    except (OSError, ValueError, KeyError, TypeError):
        return now
    return ended if ended <= now else 0.0


def _write_note(slot: Path, note: Mapping[str, Any]) -> None:
    write_whole(slot.with_suffix(".json"), json.dumps(note).encode(), durable=False)

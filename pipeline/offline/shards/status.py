"""The status of a cluster run: that of its shards as of one run, and which machine works on what."""

import shlex
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.cluster.directories import Directories, about_not_begun, items_in, not_taken_in
from pipeline.cluster.machines import WorkerStatus, held_by, holder_of, workers_in
from pipeline.errors import JournalError, SpecError
from pipeline.job.load import load_as_run
from pipeline.offline.shards.looks import Looks
from pipeline.offline.status import SHOWN, Status, about_page, verify_run
from pipeline.results.summary import FINISHED, INTERRUPTED, RUNNING
from pipeline.results.sums import added, spent_in_all, state_in_all
from pipeline.run.directory import SPEC
from pipeline.system.clock import iso
from pipeline.system.fault import Fault
from pipeline.system.wording import count, enumerated

_AT_ONCE = 8  # shards: most of a look is waiting for the file system, the more so for one on a network


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as it told of itself last; times are ISO 8601 in UTC."""

    name: str
    host: str
    alive: bool  # False where it ended, or has told nothing for half a minute
    ended: bool  # True where it ended in good order
    account: str = ""  # that it uses, by the job's name for it, where it has several
    since: str  # when it began; "" where it did not say
    last_seen: str
    shards: list[str]  # those that it works on
    slots: dict[str, int]  # leased from the account, by kind of call
    per_s: dict[str, float]  # calls per second, by kind


class ClusterStatus(Status, frozen=True, kw_only=True):
    """The status of a cluster run; `status --json` prints these fields beside those of a run."""

    shards: dict[str, int]  # all, finished, running, interrupted, not_begun, not_read
    about_shards: list[str]  # those that have not come to their end, a line each
    machines: list[Machine]
    accounts: dict[str, dict[str, int]]  # by name, where the job has several: shards, finished, running, workers


class _Seen(NamedTuple):
    name: str
    status: Status
    lacking: int  # items that it lists and has not taken in
    account: str  # to which the shard belongs; "" where the job has the one account
    by: str  # the worker that works on it; "" where none does

    @property
    def state(self) -> str:
        if self.status.running:
            return RUNNING
        return INTERRUPTED if self.status.items["not_started"] or self.status.unnamed else FINISHED


def read_cluster_status(found: Directories, *, named: Path | None = None, now: float | None = None) -> ClusterStatus:
    """Read where a cluster run stands, and speak of it as `named`. Raises JournalError where no shard can be read."""
    named = named or found.folder
    now = time.time() if now is None else now
    workers = list(workers_in(found.folder))
    held = held_by(workers, now=now)

    several = found.cluster is not None and found.cluster.accounts
    looks, listed = Looks(found.folder, named=named, now=now), found.listed

    def look(run: Path) -> _Seen:
        by = holder_of(run, held)
        status = looks.status(run, held=bool(by))
        lacking = not_taken_in(status.items, listed[run])
        items = added([status.items, {"all": lacking, "not_started": lacking}])
        account = _account_of(run) if several else ""
        return _Seen(run.parent.name, msgspec.structs.replace(status, items=items), lacking, account, by)

    if not found.runs and found.not_begun:
        return _merged(found, named, [], workers, now=now)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        under_way = {run: pool.submit(look, run) for run in found.runs}
        seen = list(found.each(lambda run: under_way[run].result()))
    looks.write()
    return _merged(found, named, seen, workers, now=now)


def _merged(
    found: Directories,
    named: Path,
    seen: Sequence[_Seen],
    workers: list[WorkerStatus],
    *,
    now: float,
) -> ClusterStatus:
    all_ = [one.status for one in seen]
    waiting = items_in(found.not_begun)
    items = added([one.items for one in all_] + [{"all": waiting, "settled": 0, "open": 0, "not_started": waiting}])
    shards = _shards(found, seen)
    running = bool(shards["running"])
    open_ = [line for one in all_ for line in one.open_items]
    number = len(open_) + sum(one.open_not_shown for one in all_)
    state = state_in_all((one.state for one in all_), waiting=waiting + sum(one.lacking for one in seen))
    return ClusterStatus(
        run=str(named),
        running=running,
        state=state,
        now=_now(shards, running=running),
        items=items,
        calls=added(one.calls for one in all_),
        money=spent_in_all(one.money for one in all_),
        expires={what: min(one.expires[what] for one in all_ if what in one.expires) for what in _expiring(all_)},
        expiring_within_hour=added(one.expiring_within_hour for one in all_),
        open_items=open_[:SHOWN],
        open_not_shown=number - len(open_[:SHOWN]),
        unnamed=sum(one.unnamed for one in all_),
        not_started=_not_started(all_) if items["not_started"] and not running else "",
        unread=sum(one.unread for one in all_),
        collect_by=min((one.collect_by for one in all_ if one.collect_by), default=""),
        changed=[one for status in all_ for one in status.changed],
        page=about_page(found.folder, items, state, named=named),
        shards=shards,
        about_shards=[*found.not_read.values(), *filter(None, [about_not_begun(found.not_begun)]), *_lines(seen)],
        machines=[_machine(one, now=now) for one in workers],
        accounts=_accounts(seen, [one.account for one in workers if one.is_there(now=now)]),
    )


def _account_of(run: Path) -> str:
    with suppress(SpecError):  # a shard without its job says nothing of it
        return load_as_run(run / SPEC).api.account or ""
    return ""


def _accounts(seen: Sequence[_Seen], used: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count the shards of each account and the workers that use it now."""
    found = {}
    for name in sorted({*(one.account for one in seen), *used} - {""}):
        states = [one.state for one in seen if one.account == name]
        number = {word: states.count(word) for word in (FINISHED, RUNNING)}
        found[name] = {"shards": len(states), **number, "workers": used.count(name)}
    return found


def _expiring(all_: Sequence[Status]) -> list[str]:
    return list(dict.fromkeys(what for one in all_ for what in one.expires))


def _shards(found: Directories, seen: Sequence[_Seen]) -> dict[str, int]:
    states = [one.state for one in seen]
    number = {word: states.count(word) for word in (FINISHED, RUNNING, INTERRUPTED)}
    assert found.cluster is not None
    return {
        "all": len(found.cluster.shards),
        **number,
        "not_begun": len(found.not_begun),
        "not_read": len(found.not_read),
    }


def _now(shards: dict[str, int], *, running: bool) -> str:
    words = {"finished": "finished", "running": "being worked on", "interrupted": "interrupted"}
    words |= {"not_begun": "not begun", "not_read": "not to be read"}
    parts = [f"{shards[word]:,} {said}" for word, said in words.items() if shards[word]]
    told = f"of {count(shards['all'], 'shard')} {enumerated(parts)}" if parts else "it has no shards"
    return f"{'running' if running else 'not running'}: {told}"


def _not_started(all_: Sequence[Status]) -> str:
    """Say what to do about items that were not started: what ended a shard early, or that a worker goes on."""
    said = next((one.not_started for one in all_ if one.not_started), "")
    return said or "`pipeline work` the job file on any machine: it begins the shards that are left."


def _lines(seen: Sequence[_Seen]) -> list[str]:
    """Say in a line each which shards have not come to their end."""
    lines = []
    for one in seen:
        name, status = one.name, one.status
        left, all_ = status.items["not_started"], status.items["all"]
        if status.running:
            who = f"by {one.by}" if one.by else "on this machine"
            lines.append(f"shard {name} is being worked on {who}: {left:,} of {count(all_, 'item')} not started")
        elif one.state == INTERRUPTED:
            lines.append(f"shard {name} is not finished: {left:,} of {count(all_, 'item')} not started; {status.now}")
    more = len(lines) - SHOWN
    return lines if more <= 0 else [*lines[:SHOWN], f"and {more:,} more shards that are not finished"]


def _machine(worker: WorkerStatus, *, now: float) -> Machine:
    return Machine(
        name=worker.name,
        host=worker.host,
        alive=worker.is_there(now=now),
        ended=worker.ended,
        account=worker.account,
        since=iso(worker.since) if worker.since else "",
        last_seen=iso(worker.at) if worker.at else "",
        shards=[f"{one.shard:04}" for one in worker.shards],
        slots={} if worker.ended else worker.slots,
        per_s=worker.per_s,
    )


def verify_cluster(found: Directories) -> str:
    """Check journal and lines of every shard; return a sentence. Raises JournalError for one damaged or missing."""
    for run in found.runs:
        verify_run(run)
    if found.not_read:
        raise JournalError(Fault("; ".join(found.not_read.values()), where=str(found.folder)))
    return f"verified: {count(len(found.runs), 'shard is', 'shards are')} whole, journals and lines"


def worded(machine: Machine) -> str:
    """Write a machine as a line: alive since, shards, slots, last seen."""
    since = f", since {machine.since}" if machine.since else ""
    slots = ", ".join(f"{number} {kind}" for kind, number in machine.slots.items()) or "none"
    works = f"shards {', '.join(machine.shards)}" if machine.shards else "no shard"
    host = f" on {shlex.quote(machine.host)}" if machine.host and machine.host != machine.name else ""
    alive = "alive" if machine.alive else "ended in good order" if machine.ended else "not heard of any more"
    return f"machine {machine.name}{host}: {alive}{since}; {works}; slots: {slots}; last seen {machine.last_seen}"


def about_account(name: str, number: dict[str, int]) -> str:
    """Write the shards and workers of an account as a line."""
    shards = count(number["shards"], "shard")
    return f"account {name}: {number[FINISHED]:,} of {shards} finished; {count(number['workers'], 'worker')} now"

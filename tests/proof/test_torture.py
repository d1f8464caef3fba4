"""Every write, sync, truncation, opening, renaming and commit of a run fails once: nothing acknowledged is lost.

The run ends with JournalError, or goes on where the failure does no harm; after a failure no create leaves; and the
next run, on a healthy disk, ends the job.
"""

import shutil
from collections import Counter
from functools import partial
from pathlib import Path

import anyio
import pytest

from pipeline.errors import JournalError
from pipeline.models import Kind
from tests.proof.history import read_history, violations
from tests.proof.power_loss import RUN, fast_folder
from tests.proof.recorder import recording
from tests.proof.tape import Acknowledged, Executed, Failed, Sent, Tape
from tests.proof.workload import Vendor, run
from tests.support.lengths import lengths

COUNT = 30
SEED = 5


# What the run directory's own files are written with; the rest is the journal's, and ends with JournalError.
_AROUND = ("open", "fsync", "rename", "unlink", "mkdir")
_TAKES_NO_ROOM = ("unlink", "fsync", "fdatasync", "sqlite sync", "sqlite delete", "commit")


class Saboteur:
    """Lets one call fail, the nth of all or the first of a name; a disk that is full stays full. `hit` names the call.

    Threads decide which call is the nth, so only a name says for certain what fails.
    """

    def __init__(self, at: int | str, how: str) -> None:
        self.calls: list[str] = []
        self.hit = ""
        self._at = at
        self._how = how

    def __call__(self, name: str) -> str:
        number = len(self.calls)
        self.calls.append(name)
        first = not self.hit
        if first:
            if self._at not in (number, name):
                return ""
            self.hit = name
        elif self._how == "eio" or name in _TAKES_NO_ROOM:
            return ""
        if self._how == "eio":
            return "eio"
        return "short" if self._how == "short" and first and name in ("write", "sqlite write") else "enospc"


def tortured(base: Path, saboteur: Saboteur) -> tuple[Tape, BaseException | None]:
    """A run on a disk that fails."""
    tape = Tape(base)
    try:
        with recording(tape, saboteur) as connecting:
            vendor = Vendor(tape, seed=SEED, name="first")
            anyio.run(partial(run, base / RUN, vendor, tape, count=COUNT, connecting=connecting))
    except BaseException as error:
        return tape, error
    return tape, None


def wrong_after(base: Path, tape: Tape) -> list[str]:
    """Go on with a healthy disk until the job is done; what is wrong then."""
    second = Tape(base)
    (base / RUN).mkdir(parents=True, exist_ok=True)
    anyio.run(partial(run, base / RUN, Vendor(second, seed=0, name="second", calm=True), second, count=COUNT))
    both = [*tape.events, *second.events]
    after_failure = tape.events[tape.events.index(Failed()) :] if Failed() in tape.events else []
    history = read_history(
        base / RUN,
        executed=[event.created for event in both if isinstance(event, Executed)],
        acknowledged={event.id: event.crc for event in both if isinstance(event, Acknowledged)},
        asked=Counter(event.kind.value for event in both if isinstance(event, Sent)),
        posts_after_failure=sum(isinstance(event, Sent) and event.kind is Kind.CREATE for event in after_failure),
        ended=True,
    )
    return violations(history)


@pytest.fixture(scope="module")
def calls() -> list[str]:
    """The calls of a run that could fail, in their order."""
    never = Saboteur(10**9, "eio")
    with fast_folder() as base:
        tape, error = tortured(Path(base), never)
    assert error is None
    assert {"write", "fdatasync", "open", "rename", "commit", "sqlite write", "sqlite sync"} <= set(never.calls)
    assert sum(isinstance(event, Executed) for event in tape.events) > 10
    return never.calls


@pytest.mark.parametrize("every", lengths(long=20, thorough=1))
@pytest.mark.parametrize("how", ["eio", "enospc", "short"])
def test_run_whose_disk_fails_at_any_call_loses_nothing(calls: list[str], how: str, every: int) -> None:
    ended: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    for at in (*range(0, len(calls), every), *sorted(set(calls))):
        with fast_folder() as name:
            base = Path(name)
            saboteur = Saboteur(at, how)
            tape, error = tortured(base, saboteur)
            where = f"call {at} of {len(calls)}, {how} at {saboteur.hit}"
            ended[type(error).__name__] += 1
            hit[saboteur.hit] += 1
            known = isinstance(error, JournalError) or (isinstance(error, OSError) and saboteur.hit in _AROUND)
            assert error is None or known, (where, error)
            assert wrong_after(base, tape) == [], where
            shutil.rmtree(base / RUN.parts[0])
    assert {"open", "commit"} <= set(hit)
    if every == 1:
        assert ended["JournalError"] > ended["OSError"] + ended["NoneType"]
        assert {"write", "open", "sqlite write", "commit"} <= set(hit)


def test_journal_that_failed_is_not_written_again() -> None:
    """The first failure is final: nothing is acknowledged after it, even where the disk works again."""
    with fast_folder() as name:
        base = Path(name)
        saboteur = Saboteur("fdatasync", "eio")
        tape, error = tortured(base, saboteur)
        assert isinstance(error, JournalError)
        failed = tape.events.index(Failed())
        assert not any(isinstance(event, Acknowledged) for event in tape.events[failed:])

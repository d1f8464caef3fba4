"""Promises of leases among real processes that are killed, stopped and cut off from their folder."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest

from pipeline.leases.account import SharedAccount
from pipeline.leases.lease import Lease
from pipeline.leases.opening import open_store
from tests.bench.pace import worst_second
from tests.support.lengths import THOROUGH
from tests.support.processes import python, running, until, until_lines

QPS = 8
LEASE_S = 1.0

# It sends as a limiter does that keeps a log of the last second. A moment between question and call in which the
# process stood still is the one that no lease can see; such a call is not made here.
SENDER = """
import sys, time
from pipeline.leases.account import SharedAccount
from pipeline.leases.lease import Lease
from pipeline.leases.opening import open_store
place, path, qps, lease_s = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
lease = Lease(open_store(place), "acme", lease_s=lease_s)
log = []
with lease, SharedAccount(lease, {"search": qps}) as account, open(path, "a", buffering=1) as out:
    account.hungry(["search"])
    while True:
        before = time.monotonic()
        log = [at for at in log if at > before - 1.004]
        may = len(log) + 1 <= account.per_second("search")
        now = time.monotonic()
        if may and now - before < 0.02:
            log.append(now)
            print(repr(now), file=out)
        time.sleep(0.003)
"""


class Senders:
    """Processes that share an account, and the logs of all that they sent."""

    def __init__(self, folder: Path, block: ExitStack) -> None:
        self.place, self.folder, self._block = folder / "leases", folder, block
        self._numbers = count()
        self.place.mkdir()

    def begin(self) -> "Sender":
        log = self.folder / f"{next(self._numbers)}.log"
        command = python(SENDER, self.place, log, str(QPS), str(LEASE_S))
        return Sender(self._block.enter_context(running(command)), log)

    def sent(self) -> list[float]:
        return sorted(float(line) for log in self.folder.glob("*.log") for line in log.read_text().splitlines())


class Sender:
    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def sends(self) -> None:
        """Wait until it has sent something more."""
        there = self.log.read_bytes().count(b"\n") if self.log.exists() else 0
        until_lines(self.log, there + 1, by=self.process)


@contextmanager
def senders(folder: Path) -> Iterator[Senders]:
    with ExitStack() as block:
        yield Senders(folder, block)


@pytest.mark.proofs
@pytest.mark.parametrize("seed", range(20 if THOROUGH else 2))
def test_no_second_holds_more_calls_than_the_account_has_whoever_is_killed_or_stopped(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    with senders(tmp_path) as made:
        alive = [made.begin() for _ in range(3)]
        for sender in alive:
            sender.sends()
        for _ in range(6):
            which = chance.randrange(3)
            if chance.random() < 0.5:
                alive[which].signal(signal.SIGKILL)
                alive[which] = made.begin()
            else:
                alive[which].signal(signal.SIGSTOP)
                time.sleep(chance.choice([0.3, 0.9, 1.5, 3.0]))  # shorter and longer than the lease, and than T
                alive[which].signal(signal.SIGCONT)
            alive[chance.randrange(3)].sends()
        alive[0].sends()
    sent = made.sent()
    assert worst_second(sent)[0] <= QPS
    assert len(sent) > QPS


@pytest.mark.proofs
def test_what_a_killed_process_held_is_used_by_the_others(tmp_path: Path) -> None:
    lease = Lease(open_store(str(tmp_path)), "acme", lease_s=LEASE_S)
    log = tmp_path / "sender.log"
    with running(python(SENDER, tmp_path, log, str(QPS), str(LEASE_S))) as process:
        until_lines(log, QPS, by=process)
    with lease, SharedAccount(lease, {"search": QPS}) as account:
        account.hungry(["search"])
        until(lambda: account.per_second("search") == QPS)


@pytest.mark.proofs
def test_a_run_pauses_while_the_folder_is_gone_and_says_one_line_each_way(tmp_path: Path) -> None:
    place, away, told = tmp_path / "mount", tmp_path / "away", list[str]()
    place.mkdir()
    lease = Lease(open_store(str(place)), "acme", lease_s=LEASE_S)
    lease.say = told.append
    with lease, SharedAccount(lease, {"search": QPS}) as account:
        account.hungry(["search"])
        until(lambda: account.per_second("search") == QPS)
        place.rename(away)
        place.mkdir()  # a place without its file system
        until(lambda: account.per_second("search") == 0 and told)
        assert told == [
            f"the store of leases is out of reach, and no call goes until it answers: {place}: "
            "the store is gone from this folder"
        ]
        assert list(place.iterdir()) == []
        place.rmdir()
        away.rename(place)
        until(lambda: account.per_second("search") == QPS)
        assert told[1:] == ["the store of leases answers again: calls go on"]

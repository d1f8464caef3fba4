"""Runs that share one account as machines do: two state folders stand for two machines."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.models import Kind
from tests.support.jobs import ACCOUNT, job
from tests.support.processes import python, running

LEASE_S = 2.0

# Runs a job and notes the kind of each call, its permit's time and our part of the calls per second, once it is sent.
_RUN = """
import sys; from pipeline import RunOptions, run_job; from pipeline.run import leased
path, log, lease_s = sys.argv[1:]
leased.LEASE_S = float(lease_s)
accounts = []
hungry = leased.SharedAccount.hungry
def begins(account, kinds):
    accounts.append(account)
    hungry(account, kinds)
leased.SharedAccount.hungry = begins
def say(line):
    print(line, file=sys.stderr, flush=True)
with open(log, "w", buffering=1) as sent:
    def on_sent(kind, at):
        part = accounts[0].per_second(str(kind)) if accounts else 0.0
        sent.write(f"{kind} {at!r} {part!r}\\n")
    sys.exit(run_job(path, options=RunOptions(say=say, on_sent=on_sent)).exit_code)
"""


class Machine(NamedTuple):
    """A run in a process of its own, on a machine of its own as far as one machine can tell; it notes its calls."""

    process: subprocess.Popen[str]
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "sent"

    @property
    def results(self) -> Path:
        return self.folder / "runs/job/results.jsonl"

    def sent(self, kind: Kind) -> list[float]:
        """The times at which calls of a kind took their permits; all processes share the monotonic clock."""
        return [at for at, _ in self._noted(kind)]

    def parts(self, kind: Kind) -> list[float]:
        """What this machine had of the account's calls of a kind per second, at each of them."""
        return [part for _, part in self._noted(kind)]

    def _noted(self, kind: Kind) -> list[tuple[float, float]]:
        whole = self.log.read_text().rpartition("\n")[0]
        noted = (line.split() for line in whole.splitlines())
        return [(float(at), float(*part)) for of, at, *part in noted if of == kind]  # no part where none is leased


@contextmanager
def machine(
    folder: Path,
    url: str,
    *,
    pictures: int,
    qps: float,
    leases: str | None = "../leases",
    account: Mapping[str, str] = ACCOUNT,
    **api: Any,
) -> Iterator[Machine]:
    """A run whose account is leased in the folder `leases` beside its own, for LEASE_S at a time."""
    folder.mkdir()
    path = job(folder, url=url, pictures=pictures, api={"qps": qps, "leases": leases, **api})
    environment = {**os.environ, **account, "XDG_STATE_HOME": str(folder / "state")}
    with running(python(_RUN, path, folder / "sent", str(LEASE_S)), cwd=folder, env=environment) as process:
        yield Machine(process, folder)


def together(kind: Kind, *machines: Machine) -> list[float]:
    """The times of all calls of a kind."""
    return sorted(at for one in machines for at in one.sent(kind))


def assert_never_above(qps: int, *machines: Machine) -> None:
    """No sliding second of all these machines together holds more than `qps` calls of a kind."""
    for kind in (Kind.SEARCH, Kind.CREATE):
        times = together(kind, *machines)
        assert len(times) > qps, "too few calls to tell"
        too_near = [beyond - first for first, beyond in zip(times, times[qps:], strict=False) if beyond - first <= 1.0]
        assert too_near == []

"""The long run: a steady load with faults, a kill every minute, short tokens and quota pauses; is everything flat?

`make soak` or `python -m tests.proof soak --minutes 30 --rate 200`. One job lives through all of it. The last third of
the time goes without kills, so that memory and open files have time to grow if they do.
"""

# ruff: noqa: T201 - a command prints its figures

import argparse
import contextlib
import multiprocessing
import os
import random
import signal
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings
from tests.proof.history import IN_DOUBT, violations
from tests.proof.jobs import ACKNOWLEDGED, CACHE, Jobs
from tests.proof.kills import live, warm_up

# 2 % of the calls. None says "too fast": that would slow the run down, as it must, and the load were not steady.
FAULTS = (
    "create:reset=0.005,create:lost=0.01,create:67200100=0.005,"
    "search:http_502=0.005,search:reset=0.005,search:lost=0.005,search:68300010=0.005"
)
LOOK_EVERY_S = 5.0
_FORKS = multiprocessing.get_context("forkserver")


class Look(NamedTuple):
    """One look at a living process: seconds since its start, memory in MB, open files, items done in all lives."""

    age_s: float
    rss_mb: float
    files: int
    done: int


@dataclass
class Life:
    """One process from its start to its end."""

    ended_by: str = ""
    looks: list[Look] = field(default_factory=list)

    @property
    def age_s(self) -> float:
        return self.looks[-1].age_s if self.looks else 0.0

    def growth(self) -> str:
        """Memory and files, early in this life (after its first 20 s) and at its end."""
        late = [look for look in self.looks if look.age_s > 20]
        if len(late) < 4:
            return "too short to say"
        first, last = late[: len(late) // 4 + 1], late[-len(late) // 4 :]
        rss = [statistics.median(look.rss_mb for look in part) for part in (first, last)]
        files = [statistics.median(look.files for look in part) for part in (first, last)]
        return f"memory {rss[0]:.0f} -> {rss[1]:.0f} MB, open files {files[0]:.0f} -> {files[1]:.0f}"


class Soak:
    """The whole thing; `wrong` stays empty."""

    def __init__(self, base: Path, told: argparse.Namespace) -> None:
        self.wrong: list[str] = []
        self.lives: list[Life] = []
        self._told = told
        self._base = base
        self._dice = random.Random(told.seed)
        self._active_s = 0.0
        self._next_quota_s = told.quota_every
        warm_up()

    def run(self) -> None:
        """Run until the minutes are spent, then stop in good order and look at everything."""
        told = self._told
        count = int(told.rate * told.minutes * 60 * 1.1) + 1000
        api = {"qps": {"search": told.rate, "create": told.rate, "upload": 5, "query": 5}}
        with self._vendor() as vendor:
            port = int(vendor.url.rpartition(":")[2])
            jobs = Jobs(self._base, vendor, count, api=api, in_flight=max(40, told.rate * 2))
            job = jobs.next()
        until_s = told.minutes * 60
        while self._active_s < until_s and not self.wrong:
            self._one_life(jobs, job, port, until_s)

    def _vendor(self, *, port: int = 0, **more: int) -> SandboxServer:
        told = self._told
        plan = FaultPlan.parse(FAULTS, seed=told.seed + len(self.lives))
        settings = SandboxSettings(
            folder=self._base / "vendor",
            cache_dir=CACHE,
            latency_s=(0.05, 0.4),
            token_lifetime_s=told.token_s,
            faults=plan,
            **more,  # type: ignore[arg-type]
        )
        return SandboxServer(settings, port=port)

    def _one_life(self, jobs: Jobs, job: Path, port: int, until_s: float) -> None:
        life = Life()
        self.lives.append(life)
        with contextlib.ExitStack() as serving:
            serving.enter_context(self._vendor(port=port))
            process = _FORKS.Process(target=live, args=(job, None))
            process.start()
            how = self._watch(jobs, process, life, until_s)
            if how == "quota":
                serving.close()
                with self._vendor(port=port, balance=1):
                    process.join(180)
            elif how == "kill":
                process.kill()
            elif how == "end":
                assert process.pid is not None
                os.kill(process.pid, signal.SIGTERM)
            process.join(180)
            code = process.exitcode
            process.close()
        self._active_s += life.age_s
        life.ended_by = f"{how or 'itself'}, exit code {code}"
        if code not in {"quota": (4,), "kill": (-9,), "end": (143,)}.get(how, ()):
            error = jobs.folder / "error"
            self.wrong.append(f"unexpected: {life.ended_by} {error.read_text() if error.exists() else ''}")
        history = jobs.history(dead=code == -9)
        self.wrong += violations(history)
        last = life.looks[-1] if life.looks else Look(0, 0, 0, 0)
        doubts = sum(row.state == IN_DOUBT for row in history.rows)
        print(
            f"{self._active_s:6.0f} s  life {len(self.lives)} of {life.age_s:.0f} s ended by {life.ended_by}: "
            f"{len(history.acknowledged):,} done, {len(history.executed):,} executed, {doubts:,} in doubt, "
            f"{last.rss_mb:.0f} MB, {last.files} files, violations {len(self.wrong)}",
            flush=True,
        )

    def _watch(self, jobs: Jobs, process: ForkServerProcess, life: Life, until_s: float) -> str:
        """Look at a process until it is time to end it; return how, "" when it ended by itself."""
        told = self._told
        began = time.monotonic()
        calm = self._active_s >= until_s * 2 / 3
        kill_s = float("inf") if calm else told.kill_every * self._dice.uniform(0.5, 1.5)
        if not calm:
            kill_s = min(kill_s, max(5.0, until_s * 2 / 3 - self._active_s))
        while process.is_alive():
            process.join(LOOK_EVERY_S)
            age_s = time.monotonic() - began
            with contextlib.suppress(OSError):  # it has just ended
                life.looks.append(_look(process.pid or 0, age_s, jobs.folder / ACKNOWLEDGED))
            if self._active_s + age_s >= until_s:
                return "end"
            if not calm and self._active_s + age_s >= self._next_quota_s:
                self._next_quota_s += told.quota_every
                return "quota"
            if age_s >= kill_s:
                return "kill"
        return ""


def _look(pid: int, age_s: float, notes: Path) -> Look:
    status = Path(f"/proc/{pid}/status").read_text()
    rss_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    done = notes.stat().st_size // 18 if notes.exists() else 0
    return Look(age_s, rss_kb / 1024, len(os.listdir(f"/proc/{pid}/fd")), done)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=200, help="calls of each kind per second")
    parser.add_argument("--kill-every", type=float, default=60, help="seconds, give or take a half")
    parser.add_argument("--quota-every", type=float, default=420, help="seconds between quota pauses")
    parser.add_argument("--token-s", type=int, default=60, help="lifetime of a token")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    told = parser.parse_args()
    print(f"seed {told.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as base:
        soak = Soak(Path(base), told)
        soak.run()
        longest = max(soak.lives, key=lambda life: life.age_s)
        steady = [look for look in longest.looks if look.age_s > 10]
        rate = (steady[-1].done - steady[0].done) / (steady[-1].age_s - steady[0].age_s) if len(steady) > 1 else 0.0
        print(f"longest life, {longest.age_s:.0f} s: {longest.growth()}, {rate:.0f} items/s")
        print(f"lives {len(soak.lives)}, violations: {len(soak.wrong)}", *soak.wrong[:20], sep="\n")
    return 1 if soak.wrong else 0

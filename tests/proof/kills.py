"""The kill -9 loop: a real run against a vendor that outlives it, killed again and again, looked at after each death.

Three of four kills come while items are being settled, one at any moment from the start of the process on: while the
job is read, while the directory is recovered, while the report is written. Each life is a process forked from a server
that has everything imported already. When a job is done its directory is checked as a whole, and the next one begins.

`make kills KILLS=1000` or `python -m tests.proof kills --kills 1000 --seed 7`.
"""

# ruff: noqa: T201 - a command prints its figures

import argparse
import contextlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, run_job
from pipeline.errors import JournalError, PipelineError
from pipeline.journal.steps import Steps
from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.resources import resource
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings
from pipeline.sandbox.tasks import read_tasks
from tests.proof.history import Created, History, read_history, violations
from tests.proof.mutants import MUTANTS

ACCOUNT = {"PATSNAP_CLIENT_ID": "sandbox", "PATSNAP_CLIENT_SECRET": "sandbox-secret"}
# 5 % of the creates and 4 % of the searches go wrong: too fast, never executed, answer lost, a file it does not take.
FAULTS = (
    "create:67200002=0.02,create:reset=0.01,create:lost=0.02,"
    "search:67200002=0.02,search:reset=0.005,search:lost=0.005,search:68300010=0.01"
)
ITEMS = 400
IN_FLIGHT = 40
ACKNOWLEDGED = "acknowledged"
# The gallery's index takes 15 s to build: kept between campaigns, in the place where the tests keep theirs.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", tempfile.gettempdir())) / "infringement-pipeline"
_FORKS = multiprocessing.get_context("forkserver")


def warm_up() -> None:
    """Start the process that lives are forked from, with everything imported."""
    _FORKS.set_forkserver_preload(["tests.proof.kills"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # it looks nowhere else for what it is to import
        forkserver.ensure_running()


def live(job: Path, mutant: str | None) -> None:
    """One life, in a process of its own: run the job, noting each item that the engine is told is done."""
    for kind in ("CACHE", "STATE"):
        os.environ[f"XDG_{kind}_HOME"] = str(job.parent.parent / kind.lower())
    note = os.open(job.parent / ACKNOWLEDGED, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    with pytest.MonkeyPatch.context() as patch:
        if mutant:
            MUTANTS[mutant].apply(patch)
        settle = Steps.settle

        async def noting(self: Steps, work: Any, state: Any, line: bytes, task: Any) -> None:
            await settle(self, work, state, line, task)
            os.write(note, f"{zlib.crc32(bytes(line))} {work.item.id}\n".encode())

        patch.setattr(Steps, "settle", noting)
        try:
            exit_code = run_job(job, options=RunOptions(environment=ACCOUNT)).exit_code
        except PipelineError as error:
            (job.parent / "error").write_text(str(error))
            exit_code = error.exit_code
    os._exit(exit_code)


@dataclass
class Jobs:
    """The jobs of one campaign, one after the other; their pictures differ, their vendor is the same."""

    base: Path
    vendor: SandboxServer
    items: int = ITEMS
    number: int = 0
    api: str = "qps: 1000000"
    in_flight: int = IN_FLIGHT
    task: str = "{}"

    @property
    def folder(self) -> Path:
        return self.base / f"job-{self.number}"

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "job"

    def next(self) -> Path:
        """Write the next job file."""
        self.number += 1
        self.folder.mkdir()
        # Few drawings, each under many names: the sandbox is to answer fast, its search is proved elsewhere.
        names = sorted(path.name for path in resource("gallery").iterdir())[:8]
        host = "https://sandbox.invalid/gallery"
        rows = (f"P{n:06},{host}/{names[n % 8]}?n={self.number}-{n}\n" for n in range(self.items))
        with (self.folder / "list.csv").open("w") as file:
            file.write("id,url\n")
            file.writelines(rows)
        job = self.folder / "job.yaml"
        job.write_text(
            "version: 1\nname: job\nimages: [{manifest: list.csv}]\nsearch: {limit: 3}\n"
            f"task: {self.task}\n"
            f"api: {{base_url: '{self.vendor.url}', max_in_flight: {self.in_flight}, {self.api}}}\n"
        )
        return job

    def executed(self) -> Iterator[Created]:
        """What the vendor executed for this job."""
        mark = f"?n={self.number}-"
        for task in read_tasks(self.base / "vendor"):
            if mark in task.urls[0]:
                yield Created(task.urls[0], task.task_id, task.patent_ids)

    def acknowledged(self) -> dict[str, int]:
        """The items that were reported as done in any life, with the CRC of their lines."""
        notes = self.folder / ACKNOWLEDGED
        if not notes.exists():
            return {}
        pairs = (note.split(" ", 1) for note in notes.read_text().splitlines())
        return {id_: int(crc) for crc, id_ in pairs}

    def history(self, **known: Any) -> History:
        """What is known of this job's run directory at this moment."""
        return read_history(self.run, executed=self.executed(), acknowledged=self.acknowledged(), **known)


@dataclass
class Score:
    """What a campaign came to."""

    kills: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    jobs: int = 0
    acknowledged: int = 0
    executed: int = 0
    in_doubt: int = 0
    falsely_in_doubt: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{sum(self.kills.values())} kills ({dict(self.kills)}), {self.lives} lives, {self.jobs} jobs finished: "
            f"{self.acknowledged} acknowledged, {self.executed} creates executed, {self.in_doubt} in doubt "
            f"({self.falsely_in_doubt} of them never executed); violations: {len(self.wrong)}"
        )


class Campaign:
    """So many kills from one seed; `wrong` in the score stays empty, or says what was found and in which life."""

    def __init__(self, base: Path, *, kills: int, seed: int, mutant: str | None = None, items: int = ITEMS) -> None:
        self.score = Score()
        self._base = base
        self._kills = kills
        self._items = items
        self._mutant = mutant
        self._seed = seed
        self._dice = random.Random(seed)
        warm_up()

    def run(self) -> Score:
        """Kill until the kills are spent or something is wrong; finish the last job too."""
        settings = SandboxSettings(
            folder=self._base / "vendor",
            cache_dir=CACHE,
            latency_s=(0.0, 0.04),
            faults=FaultPlan.parse(FAULTS, seed=self._seed),
        )
        with SandboxServer(settings) as vendor:
            jobs = Jobs(self._base, vendor, self._items)
            while not self.score.wrong and sum(self.score.kills.values()) < self._kills:
                job = jobs.next()
                while not self.score.wrong and not self._one_life(jobs, job):
                    pass
                self._add_up(jobs)
        return self.score

    def _one_life(self, jobs: Jobs, job: Path) -> bool:
        """Start a process and kill it, if kills are left; True when the job is done."""
        spent = sum(self.score.kills.values()) >= self._kills
        process = _FORKS.Process(target=live, args=(job, self._mutant))
        process.start()
        self.score.lives += 1
        when = "" if spent else self._await_moment(jobs, process)
        if when:
            process.kill()
        process.join(120)
        code = process.exitcode
        process.close()
        if code == -9:
            self.score.kills[when] += 1
        ended = code in (0, 1)
        if code not in (-9, 0, 1, 4):
            error = jobs.folder / "error"
            self.score.wrong.append(f"exit code {code}: {error.read_text() if error.exists() else 'killed by nobody'}")
        if (jobs.run / "journal.sqlite").exists():
            self._look(jobs, ended=ended)
        return ended

    def _await_moment(self, jobs: Jobs, process: ForkServerProcess) -> str:
        """Wait until it is time to kill; return the kind of moment, "" when the process ended by itself."""
        if self._dice.random() < 0.25:
            process.join(self._dice.uniform(0.0, 0.7))
            return "any time" if process.is_alive() else ""
        notes = jobs.folder / ACKNOWLEDGED
        size = notes.stat().st_size if notes.exists() else 0
        more = self._dice.randrange(1, 90) * 18  # a note has 18 bytes or one less
        while process.is_alive() and (not notes.exists() or notes.stat().st_size < size + more):
            time.sleep(0.001)
        time.sleep(self._dice.uniform(0.0, 0.02))
        return "under load" if process.is_alive() else ""

    def _look(self, jobs: Jobs, *, ended: bool) -> None:
        try:
            history = jobs.history(dead=not ended, ended=ended)
            self.score.wrong += [f"life {self.score.lives}, {jobs.run}: {wrong}" for wrong in violations(history)]
        except JournalError as error:
            self.score.wrong.append(str(error))

    def _add_up(self, jobs: Jobs) -> None:
        history = jobs.history()
        doubts = {row.url for row in history.worked_on.values() if row.state == 21}
        self.score.jobs += 1
        self.score.acknowledged += len(history.acknowledged)
        self.score.executed += len(history.executed)
        self.score.in_doubt += len(doubts)
        self.score.falsely_in_doubt += len(doubts - {created.url for created in history.executed})


def main() -> int:
    """Run one campaign from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--items", type=int, default=ITEMS, help="items per job")
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as base, contextlib.suppress(KeyboardInterrupt):
        print(f"seed {told.seed}", flush=True)
        began = time.monotonic()
        campaign = Campaign(Path(base), kills=told.kills, seed=told.seed, mutant=told.mutant, items=told.items)
        score = campaign.run()
        print(f"{score}\n{time.monotonic() - began:.0f} s")
        print(*score.wrong[:20], sep="\n")
        return 1 if score.wrong else 0
    return 130

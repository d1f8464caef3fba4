"""The kill -9 loop: a real run against a vendor that outlives it, killed again and again, looked at after each death.

Each job is of another way of use (`ways`): plain, with reports, deep, with views, with details, submitted, and several
of these at once. Three of four kills come while items are being settled, or while calls of some kind are made; one at
any moment from the start of the process on: while the job is read, while the directory is recovered, while the report
is written. Each life is a process forked from a server that has everything imported already. When a job is done its
directory is checked as a whole, and the next one begins.

`make kills KILLS=1000` or `python -m tests.proof kills --kills 1000 --seed 7 --way deep --way submit`.
"""

# ruff: noqa: T201 - a command prints its figures

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, run_job
from pipeline.calls import health
from pipeline.engine import patent_batches, report_turns
from pipeline.errors import JournalError, PipelineError
from pipeline.journal.steps import Steps
from pipeline.sandbox.fates import ReportPlan
from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings
from tests.proof.contents import records_hold_what_was_paid
from tests.proof.history import violations
from tests.proof.jobs import ACKNOWLEDGED, CACHE, ITEMS, REASON, TOLD, Jobs
from tests.proof.mutants import MUTANTS
from tests.proof.steps import (
    each_page_is_held_before_the_next,
    every_call_is_counted_and_within_its_budget,
    nothing_held_is_paid_again,
    read_held,
    what_was_told_is_so,
)
from tests.proof.told import noting_steps, to_file
from tests.proof.ways import POOL, WAYS, Draw

ACCOUNT = {"PATSNAP_CLIENT_ID": "sandbox", "PATSNAP_CLIENT_SECRET": "sandbox-secret"}
# 5 % of the creates and 4 % of the searches go wrong: too fast, never executed, answer lost, a file it does not take.
FAULTS = (
    "create:67200002=0.02,create:reset=0.01,create:lost=0.02,"
    "search:67200002=0.02,search:reset=0.005,search:lost=0.005,search:68300010=0.01"
)
OF_OTHERS = (
    "upload:67200002=0.02,upload:lost=0.02,query:67200002=0.02,query:reset=0.02,query:lost=0.01,"
    "details:67200002=0.05,details:reset=0.05"
)
FATES = "failed=0.01,no_status=0.1"
QPS = {"upload": 1_000_000, "search": 1_000_000, "create": 1_000_000, "query": 1_000_000, "details": 50}
BUDGET = "api.budget."
_FORKS = multiprocessing.get_context("forkserver")


def warm_up() -> None:
    """Start the process that lives are forked from, with everything imported."""
    _FORKS.set_forkserver_preload(["tests.proof.kills"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # it looks nowhere else for what it is to import
        forkserver.ensure_running()


def live(job: Path, mutant: str | None, apart_s: float = 0.2) -> None:
    """One life, in a process of its own: run the job, noting each item that the engine is told is done.

    Reports are asked for soon, unless the pace of questions is what is proved: then it is the program's own.
    """
    for kind in ("CACHE", "STATE"):
        os.environ[f"XDG_{kind}_HOME"] = str(job.parent.parent / kind.lower())
    note = os.open(job.parent / ACKNOWLEDGED, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    with pytest.MonkeyPatch.context() as patch:
        for module in (report_turns, health):
            patch.setattr(module, "APART_S", apart_s)
        patch.setattr(patent_batches, "LINGER_S", 0.1)
        if mutant:
            MUTANTS[mutant].apply(patch)
        noting_steps(patch, to_file(job.parent / TOLD))
        settle = Steps.settle

        async def noting(self: Steps, work: Any, state: Any, line: bytes, task: Any) -> None:
            await settle(self, work, state, line, task)
            os.write(note, f"{zlib.crc32(bytes(line))} {work.item.id}\n".encode())

        patch.setattr(Steps, "settle", noting)
        try:
            summary = run_job(job, options=RunOptions(environment=ACCOUNT))
            exit_code = summary.exit_code
            (job.parent / REASON).write_text(summary.exit_reason)
        except PipelineError as error:
            (job.parent / "error").write_text(str(error))
            exit_code = error.exit_code
    os._exit(exit_code)


@dataclass
class Score:
    """What a campaign came to."""

    kills: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    jobs: int = 0
    ways: Counter[str] = field(default_factory=Counter)  # kills by the way of the job
    calls: Counter[str] = field(default_factory=Counter)  # that reached the vendor; of details the patents
    told: Counter[str] = field(default_factory=Counter)  # steps that were looked for, each once a job
    out_of_budget: int = 0
    acknowledged: int = 0
    executed: int = 0
    in_doubt: int = 0
    falsely_in_doubt: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{sum(self.kills.values())} kills ({dict(self.kills)}), {self.lives} lives, {self.jobs} jobs finished: "
            f"{self.acknowledged} acknowledged, {self.executed} creates executed, {self.in_doubt} in doubt "
            f"({self.falsely_in_doubt} of them never executed); violations: {len(self.wrong)}\n"
            f"kills by way {dict(self.ways)}; at the vendor {dict(self.calls)}; steps looked for {dict(self.told)}; "
            f"{self.out_of_budget} jobs ended by a budget"
        )


class Campaign:
    """So many kills from one seed; `wrong` in the score stays empty, or says what was found and in which life.

    ways  the names of the ways of use that jobs are drawn from; all where none is named
    """

    def __init__(
        self,
        base: Path,
        *,
        kills: int,
        seed: int,
        mutant: str | None = None,
        items: int = ITEMS,
        ways: Sequence[str] = (),
    ) -> None:
        self.score = Score()
        self._base = base
        self._kills = kills
        self._items = items
        self._mutant = mutant
        self._seed = seed
        self._dice = random.Random(seed)
        self._draw = Draw.of(seed, *ways)
        self._most = max(2, kills // len(self._draw.ways))  # of one job: a short campaign is to come to each way
        self._of_job = 0
        warm_up()

    def run(self) -> Score:
        """Kill until the kills are spent or something is wrong; finish the last job too."""
        settings = SandboxSettings(
            folder=self._base / "vendor",
            cache_dir=CACHE,
            latency_s=(0.0, 0.04),
            faults=FaultPlan.parse(f"{FAULTS},{OF_OTHERS}", seed=self._seed),
            report_after_s=(0.0, 1.0),
            reports=ReportPlan.parse(FATES),
        )
        with SandboxServer(settings) as vendor:
            jobs = Jobs(self._base, vendor, self._items, api={"qps": QPS})
            while not self.score.wrong and self._left:
                self._one_job(jobs)
        return self.score

    @property
    def _left(self) -> int:
        return self._kills - sum(self.score.kills.values())

    def _one_job(self, jobs: Jobs) -> None:
        way = self._draw.next()
        if self._dice.random() < 0.7:  # thirty days pass, and nothing is known of any patent
            shutil.rmtree(jobs.caches, ignore_errors=True)
        scarce = self.score.jobs >= 2  # a short campaign is to see its jobs whole
        job = jobs.next(way, way.capped(way.count(self._items), self._dice, scarce=scarce))
        self._held, self._paid = read_held(jobs.run, jobs.caches), jobs.book.paid()
        self._at_first, self._of_job = self._paid, 0
        while not self.score.wrong and not self._one_life(jobs, job):
            pass
        self._add_up(jobs)
        shutil.rmtree(jobs.folder)

    def _one_life(self, jobs: Jobs, job: Path) -> bool:
        """Start a process and kill it, if kills are left; True when the job is done."""
        process = _FORKS.Process(target=live, args=(job, self._mutant))
        process.start()
        self.score.lives += 1
        when = self._await_moment(jobs, process) if self._left and self._of_job < self._most else ""
        if when:
            process.kill()
        process.join(120)
        code = process.exitcode
        process.close()
        if code == -9:
            self.score.kills[when] += 1
            self.score.ways[jobs.way.name] += 1
            self._of_job += 1
        ended = code in (0, 1)
        if code not in (-9, 0, 1, 4):
            error = jobs.folder / "error"
            self.score.wrong.append(f"exit code {code}: {error.read_text() if error.exists() else 'killed by nobody'}")
        if (jobs.run / "journal.sqlite").exists():
            self._look(jobs, ended=ended)
        broke = code == 4 and BUDGET in (jobs.folder / REASON).read_text()
        self.score.out_of_budget += broke
        return ended or broke

    def _await_moment(self, jobs: Jobs, process: ForkServerProcess) -> str:
        """Wait until it is time to kill; return the kind of moment, "" when the process ended by itself."""
        chance = self._dice.random()
        if chance < 0.25:
            process.join(self._dice.uniform(0.0, 0.7))
            return "any time" if process.is_alive() else ""
        kinds = sorted(jobs.way.needs(jobs.count))
        kind = self._dice.choice(kinds) if chance < 0.5 or jobs.way.waits else ""
        goal = self._done(jobs, kind) + self._dice.randrange(1, max(2, jobs.count // 4))
        while process.is_alive() and self._done(jobs, kind) < goal:
            time.sleep(0.001)
        time.sleep(self._dice.uniform(0.0, 0.02))
        return (f"during {kind}" if kind else "under load") if process.is_alive() else ""

    def _done(self, jobs: Jobs, kind: str) -> int:
        """Count what moments are chosen by: executed calls of a kind, or items that are done."""
        if kind:
            return jobs.book.executed(kind)
        notes = jobs.folder / ACKNOWLEDGED
        return notes.stat().st_size // 18 if notes.exists() else 0  # a note has 18 bytes or one less

    def _look(self, jobs: Jobs, *, ended: bool) -> None:
        """Judge what a life has left, and what it paid."""
        way, paid = jobs.way, jobs.book.paid()
        life, job = paid.since(self._paid), paid.since(self._at_first)
        try:
            history = jobs.history(dead=not ended, ended=ended)
            held = read_held(jobs.run, jobs.caches)
        except JournalError as error:
            self.score.wrong.append(str(error))
            return
        uploads = min(POOL, jobs.count * way.views)
        wrong = violations(history)
        wrong += what_was_told_is_so(jobs.told(), held, dead=not ended)
        wrong += nothing_held_is_paid_again(life, self._held, way.of_patents, uploads=uploads)
        wrong += each_page_is_held_before_the_next(job, held)
        wrong += every_call_is_counted_and_within_its_budget(job, history.reserved, jobs.budget)
        if ended:
            wrong += records_hold_what_was_paid(jobs.run, way)
        where = f"life {self.score.lives}, job {jobs.number} ({way.name}), {jobs.run}"
        self.score.wrong += [f"{where}: {text}" for text in wrong]
        self._held, self._paid = held, paid

    def _add_up(self, jobs: Jobs) -> None:
        history = jobs.history()
        doubts = {row.url for row in history.worked_on.values() if row.state == 21}
        self.score.jobs += 1
        self.score.acknowledged += len(history.acknowledged)
        self.score.executed += len(history.executed)
        self.score.in_doubt += len(doubts)
        self.score.falsely_in_doubt += len(doubts - {created.url for created in history.executed})
        paid = self._paid.since(self._at_first)
        self.score.calls.update(paid.calls | {"details": paid.patents.total()})
        self.score.told.update(told.step for told in set(jobs.told()))


def main() -> int:
    """Run one campaign from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--items", type=int, default=ITEMS, help="items per job")
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    parser.add_argument("--way", action="append", default=[], choices=[way.name for way in WAYS], help="of the jobs")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as base, contextlib.suppress(KeyboardInterrupt):
        print(f"seed {told.seed}", flush=True)
        began = time.monotonic()
        how = {"kills": told.kills, "seed": told.seed, "mutant": told.mutant, "items": told.items, "ways": told.way}
        campaign = Campaign(Path(base), **how)
        score = campaign.run()
        print(f"{score}\n{time.monotonic() - began:.0f} s")
        print(*score.wrong[:20], sep="\n")
        return 1 if score.wrong else 0
    return 130

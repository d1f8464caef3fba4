"""The chaos campaign for many machines: four workers of one job are killed, frozen, drained and cut off all the time.

Each run is a job of several hundred pictures in a new shared folder, with short leases and a vendor of whose calls some
go wrong. Who died is started again, as a supervisor does it. A run that has come to its end is judged by the vendor's
own tasks, by the records and open items of all shards, and by the merged logs of all calls of all workers.

`make chaos INJURIES=2000` or `python -m tests.proof.chaos --injuries 2000 --seed 7`.
"""

# ruff: noqa: T201 - a command prints its figures

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeline.cluster.claims import Claims, GivenBack
from pipeline.cluster.split import read_split
from pipeline.leases.folder_store import FolderStore
from tests.proof.chaos_injuries import LEASES, World, injure, injuries_of
from tests.proof.chaos_machines import Vendor, warm_up
from tests.proof.chaos_truth import Judged, judge
from tests.support.jobs import ACCOUNT, job, pipeline
from tests.support.links import Links

PICTURES, SHARDS = 300, 12
QPS = 20
LEASE_S = 2.0
EVERY_S = 0.8  # an injury, on average
END_S = 240.0  # a run that goes on for so long is injured no more, and must end within as long again
FAULTS = (
    "create:67200002=0.005,create:reset=0.01,create:lost=0.01,"
    "search:67200002=0.005,search:http_502=0.01,search:reset=0.005,search:lost=0.005,search:68300010=0.01"
)


class Mutant(NamedTuple):
    """A mistake that each worker makes, and what shows it."""

    code: str
    kind: str  # of the injuries
    every_s: float  # an injury: where all machines are hurt nobody takes over
    lease_s: float
    shards: int


MUTANTS = {
    "no-deadline": Mutant("leasing.Lease.allowed = lambda self: True", "cut off from the leases", 2.0, LEASE_S, SHARDS),
    "takeover-after-3-s": Mutant("leasing.silence_s = lambda lease_s: 3.0", "cut off from the leases", 5.0, 10.0, 3),
}


@dataclass
class Score:
    """What a campaign came to; `wrong` says which promise was broken, and where."""

    injuries: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    took_s: float = 0.0
    judged: Judged = field(default_factory=Judged)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        of = self.judged
        rows = [(f"injury: {kind}", number) for kind, number in self.injuries.most_common()]
        rows += [
            ("injuries in all", self.injuries.total()),
            ("runs", self.runs),
            ("pictures", of.pictures),
            ("calls", of.calls),
            ("claims of shards", of.claims),
            ("created twice", len(of.twice)),
            ("untracked: created, and in no record, open line or doubt", len(of.untracked)),
            ("recorded, but never created", len(of.invented)),
            ("in doubt", of.in_doubt),
            ("  of them really created", of.really),
            ("refused by the vendor as a picture", of.failed),
            ("neither settled nor in doubt nor refused", of.other),
            ("pictures that are missing, or told twice", len(of.miscounted)),
            (f"calls in the worst second, of {QPS} allowed", max(of.worst.values(), default=0)),
            ("permits after a lease's end", of.after_lease),
            ("  calls whose worker was frozen between permit and first byte", of.late),
        ]
        return "\n".join(f"{what:66} {number:>9,}" for what, number in rows)


class Campaign:
    """So many injuries from one seed.

    kinds   the names of the injuries that are drawn; all where none is named
    mutant  the name of a mistake that each worker makes; injuries and leases are those that show it
    most_s  no run begins later
    """

    def __init__(
        self,
        base: Path,
        *,
        injuries: int,
        seed: int,
        pictures: int = PICTURES,
        every_s: float = EVERY_S,
        kinds: Sequence[str] = (),
        mutant: str | None = None,
        most_s: float = float("inf"),
    ) -> None:
        self.score = Score()
        self._base, self._wanted, self._seed = base, injuries, seed
        self._pictures, self._every_s = pictures, every_s
        self._dice = random.Random(seed)
        wrong = MUTANTS.get(mutant or "")
        self._code, self._lease_s, self._shards = wrong.code if wrong else "", LEASE_S, SHARDS
        if wrong:
            self._lease_s, self._shards, kinds = wrong.lease_s, wrong.shards, [wrong.kind]
            self._every_s = wrong.every_s
        self._kinds = {kind: one for kind, one in injuries_of(self._lease_s).items() if not kinds or kind in kinds}
        self._until = time.monotonic() + most_s
        warm_up()

    def run(self, *, show: bool = False) -> Score:
        """Injure until the injuries are spent or something is wrong; each run is brought to its end."""
        begun = time.monotonic()
        while not self.score.wrong and self._left and time.monotonic() < self._until:
            self._one_run(self._base / f"run-{self.score.runs:04}")
            self.score.runs += 1
            self.score.took_s = time.monotonic() - begun
            if show:
                done, of = self.score.injuries.total(), self.score.judged
                print(f"{self.score.took_s:7.0f} s  run {self.score.runs}: {done:,} injuries, {of}", flush=True)
        return self.score

    @property
    def _left(self) -> int:
        return self._wanted - self.score.injuries.total()

    def _one_run(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        vendor = Vendor(folder / "vendor", FAULTS, self._dice.randrange(10**6))
        cluster = {"shared": "shared", "shards": self._shards, "lease_s": self._lease_s}
        api = {"qps": QPS, "drain_s": 3, "leases": LEASES}
        (folder / LEASES).mkdir(mode=0o700)
        job(folder, url=vendor.url, pictures=self._pictures, known=False, api=api, cluster=cluster)
        with Links() as links:
            world = World(folder, vendor, links, self._dice, code=self._code)
            try:
                split = pipeline("split", "job.yaml", cwd=folder, **ACCOUNT)
                assert split.returncode == 0, split.stderr
                self._hurt(world, folder)
            finally:
                world.end()
        where = f"seed {self._seed}, {folder}: "
        found = judge(folder, self._pictures)
        self.score.judged += found
        self.score.wrong += [where + text for text in world.wrong + found.broken(QPS, self._stops)]
        if not self.score.wrong:
            shutil.rmtree(folder)

    @property
    def _stops(self) -> int:
        return sum(number for kind, number in self.score.injuries.items() if kind.startswith("frozen"))

    def _hurt(self, world: World, folder: Path) -> None:
        """Injure until the work is done, then see to it that it is."""
        begun = time.monotonic()
        due = float("inf")
        healed = False
        while not (world.done and _is_over(folder)):
            now = time.monotonic()
            if due == float("inf") and world.at_work(self._shards):
                due = now
            last = not self._left or now > begun + END_S
            if not last and now >= due:
                if (kind := injure(world, self._kinds)) is not None:
                    self.score.injuries[kind] += 1
                due = now + self._dice.expovariate(1 / self._every_s)
            world.tend(hurry=last and not healed)
            healed = healed or last
            if world.done and not _is_over(folder):  # its shards are of one that was killed meanwhile, or set aside
                self._go_on(world, folder)
            if now > begun + 2 * END_S:
                world.wrong.append(f"did not end: {_standing(folder)}")
                return
            time.sleep(0.02)

    def _go_on(self, world: World, folder: Path) -> None:
        """Let a person start the machines again, who has looked at what was set aside."""
        aside = any(state is GivenBack.ASIDE for state in _standing(folder).values())
        for machine in world.machines:
            machine.done = False
            machine.start(*["--set-aside"] * aside)


def _standing(folder: Path) -> dict[int, GivenBack]:
    claims = Claims(FolderStore(folder / LEASES), read_split(folder / "shared" / "job"))
    return {one.shard: GivenBack.OPEN if one.worker else one.state for one in claims.look()}


def _is_over(folder: Path) -> bool:
    return set(_standing(folder).values()) == {GivenBack.DONE}


def main() -> int:
    """Run one campaign from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--injuries", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--pictures", type=int, default=PICTURES, help="of a run")
    parser.add_argument("--minutes", type=float, default=240, help="no run begins later")
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    parser.add_argument(
        "--kind", action="append", default=[], choices=sorted(injuries_of(LEASE_S)), help="of the injuries"
    )
    told = parser.parse_args()
    print(f"seed {told.seed}", flush=True)
    base = Path(tempfile.mkdtemp(prefix="chaos-"))
    how = {"injuries": told.injuries, "seed": told.seed, "pictures": told.pictures, "kinds": told.kind}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # its machines are to end with it
    campaign = Campaign(base, **how, mutant=told.mutant, most_s=told.minutes * 60)
    score = campaign.run(show=True)
    print(f"{score}\n{score.took_s:.0f} s; promises that were broken: {len(score.wrong)}")
    print(*score.wrong[:20], sep="\n")
    if not score.wrong:
        shutil.rmtree(base)
    return 1 if score.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

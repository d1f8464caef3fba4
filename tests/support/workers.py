"""Workers of a job of many machines, each a process, whose every call is noted as it leaves."""

import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.cluster.layout import cluster_run
from pipeline.cluster.split import split_job
from pipeline.job.load import load_job
from pipeline.system.clock import steady
from tests.support.jobs import ACCOUNT, lines, started

# A call is noted with the time of its permit by the clock that all processes of a machine share, with the steady clock,
# and with the end of the lease by that. The note may be late on a busy machine, the permit's time is not.
_NOTING = """
from functools import partial
from pathlib import Path
from pipeline.cli.commands import work as command
from pipeline.cluster import telling, work as working
from pipeline.leases import lease as leasing
from pipeline.run import leased
from pipeline.run.load import load
from pipeline.run.options import RunOptions
from pipeline.system import signals
from pipeline.system.clock import steady
log = open(sys.argv[1], "ab", buffering=0)
leases = []
class Lease(leasing.Lease):
    until = 0.0
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        leases.append(self)
    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "_term" and value[0] > 0:  # a lease that is lost ended when it was to end
            self.until = value[0]
leased.Lease = Lease
accounts = ["-"]
use = telling.Telling.use
def used(self, account):
    accounts.append(account or "-")
    use(self, account)
telling.Telling.use = used
def on_sent(kind, at):
    log.write(b"%s %r %r %r %s\\n" % (str(kind).encode(), at, steady(), leases[-1].until, accounts[-1].encode()))
"""
WORKER = (
    _NOTING
    + """
say = lambda line: print(line, file=sys.stderr, flush=True)
options = working.WorkOptions(sys.argv[2], False, RunOptions(on_sent=on_sent, say=say))
MORE
sys.exit(working.work(load(Path("job.yaml")), options))
"""
)
# The command itself, as a supervisor starts it: `pipeline work job.yaml --name NAME ...`.
COMMAND = (
    _NOTING
    + """
command.RunOptions = partial(RunOptions, on_sent=on_sent)
MORE
signals.hear()
sys.exit(cli.run(["work", "job.yaml", "--name", *sys.argv[2:]]))
"""
)

# For a job of two accounts: no call leaves before shards of both are begun, however late the other worker starts.
TOGETHER = """
import time
from pipeline.cluster.claims import Claims
from pipeline.cluster.split import read_split
from pipeline.leases.folder_store import FolderStore
claims = Claims(FolderStore.open(Path("shared/.leases")), read_split(Path("shared/job")))
run, waits = working.LocalExecutor.run, [True]
def together(self, job, options):
    while waits and len({one.account for one in claims.look() if one.account}) < 2:
        time.sleep(0.05)
    waits.clear()
    return run(self, job, options)
working.LocalExecutor.run = together
"""


# No shard is worked on before UNTIL is true; `begun` has those that were begun, this one included.
HELD = """
import time
goes_on, begun = working.LocalExecutor.run, []
def held(self, job, options):
    begun.append(job)
    while not (UNTIL):
        time.sleep(0.05)
    return goes_on(self, job, options)
working.LocalExecutor.run = held
"""
THREE_ARE_THERE = 'len(list(Path().glob("*.sent"))) >= 3'


class Sent(NamedTuple):
    """A call as it left."""

    kind: str
    at: float  # when it got its permit
    noted_at: float
    lease_until: float
    account: str  # by the job's name for it; "-" where the job has the one account


def split(folder: Path) -> None:
    """Split the job in `folder`: workers take part in a run that there is."""
    split_job(load_job(folder / "job.yaml"))


@contextmanager
def workers(
    folder: Path, count: int, *, more: str = "", account: Mapping[str, str] = ACCOUNT
) -> Iterator[list[subprocess.Popen[str]]]:
    """Start so many workers of the job in `folder`; `more` is code that each runs before."""
    code = WORKER.replace("MORE", more)
    with ExitStack() as running:
        yield [running.enter_context(worker(folder, f"w{n}", code, account=account)) for n in range(count)]


@contextmanager
def worker(
    folder: Path, name: str, code: str = WORKER.replace("MORE", ""), *, account: Mapping[str, str] = ACCOUNT
) -> Iterator[subprocess.Popen[str]]:
    """Start one worker."""
    with started(folder / f"{name}.sent", name, cwd=folder, code=code, **account) as process:
        yield process


def sent_in(folder: Path, logs: str = "*.sent") -> list[Sent]:
    """All calls of all workers, in the order in which they left; of those whose logs have such names."""
    found = (line.split() for file in folder.glob(logs) for line in file.read_text().splitlines())
    sent = (Sent(kind, *map(float, times), account) for kind, *times, account in found)
    return sorted(sent, key=lambda sent: sent.at)


def after_lease(sent: list[Sent]) -> list[Sent]:
    """Return the calls whose permits came after the lease's end; how late a permit is noted depends on the machine."""
    ahead = steady() - time.monotonic()  # a permit's time is of the other clock
    return [one for one in sent if one.at + ahead > one.lease_until]


def most_in_a_second(sent: list[Sent], kind: str) -> int:
    """The most calls of a kind that left within any second."""
    times = [one.at for one in sent if one.kind == kind]
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


class Truth(NamedTuple):
    """What the vendor did, beside what the run knows of it."""

    twice: list[str]  # pictures with more than one task
    untracked: list[str]  # pictures with a task that no record has, and no doubt
    settled: int
    in_doubt: int
    other: int


def truth_of(folder: Path, run: Path) -> Truth:
    """Compare the vendor's own tasks with the records and the open items of all shards."""
    tasks = lines(folder / "vendor" / "tasks.jsonl")
    pictures = Counter(task["urls"][0] for task in tasks)
    records, open_ = told_by(run)
    known = {record["task"]["task_id"] for record in records if record.get("task")}
    doubts = doubted(open_)
    untracked = [t["urls"][0] for t in tasks if t["task_id"] not in known and t["urls"][0] not in doubts]
    in_doubt = sum(one["status"] == "in_doubt" for one in open_)
    twice = [picture for picture, number in pictures.items() if number > 1]
    return Truth(twice, untracked, len(records), in_doubt, len(open_) - in_doubt)


def told_by(run: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the records and the open items of all shards."""
    records, open_ = [], []
    cluster = cluster_run(run)
    assert cluster is not None
    for shard in cluster.shards:
        for told, name in ((records, "results.jsonl"), (open_, "open.jsonl")):
            if shard.run is not None and (shard.run / name).exists():
                told += lines(shard.run / name)
    return records, open_


def doubted(open_: list[dict[str, Any]]) -> set[str]:
    """Return the pictures of the open items that are in doubt."""
    return {one["image"]["source"] for one in open_ if one["status"] == "in_doubt"}

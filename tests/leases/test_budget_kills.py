"""One budget, four processes, kill -9: what is sent stays within the cap, and a death costs a chunk at most."""

import signal
from collections import Counter
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from subprocess import Popen

import pytest

from pipeline.leases.folder_store import FolderStore
from pipeline.leases.money import CHUNK, SharedBudget
from tests.support.processes import ended, python, running, until

pytestmark = pytest.mark.proofs

CAP, MONEY_CAP, PRICE = 2500, Decimal("400.00"), Decimal("0.25")
USED_UP = 4

WORKER = """
import functools, os, sys
from decimal import Decimal
from pathlib import Path

import anyio

from pipeline.errors import RunPaused
from pipeline.journal.journal import Journal
from pipeline.journal.purse import Tariff
from pipeline.journal.storage import open_disk
from pipeline.journal.writer import Writer
from pipeline.leases.folder_store import FolderStore
from pipeline.leases.money import SharedBudget
from pipeline.models import Kind

store, run, sent, cap, money, price = sys.argv[1:]
caps = {name: None for name in ("upload_calls", "query_calls", "details")}
caps |= {"search_calls": Decimal(cap), "create_calls": None, "money": Decimal(money)}
tariff = Tariff({Kind.CREATE: Decimal(price)}, Decimal(money))


async def work():
    log = os.open(sent, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    writer = Writer(functools.partial(open_disk, Path(run), now=1_795_262_400.0))
    await writer.start()
    shared = SharedBudget(FolderStore.open(Path(store)), "acme", "autumn", caps, sharers=lambda: 4)
    journal = Journal(writer, budgets={Kind.SEARCH: int(cap)}, tariff=tariff, shared=shared)
    await journal.begin()
    left = [Kind.SEARCH, Kind.CREATE]

    async def spend(kind):
        while True:
            try:
                await journal.budget.reserve(kind)
            except RunPaused:
                return
            journal.budget.sent(kind)
            os.write(log, kind.value[:1].encode())  # the call leaves
            await anyio.sleep(0.01)

    async with anyio.create_task_group() as group:
        for kind in left:
            for _ in range(3):
                group.start_soon(spend, kind)
    await journal.close()
    sys.exit(4)


anyio.run(work)
"""


class Machine:
    """A machine with a run directory of its own, whose process is started again after each death."""

    def __init__(self, number: int, tmp_path: Path, stack: ExitStack) -> None:
        self.run = tmp_path / f"run-{number}"
        self.run.mkdir()
        self.log = tmp_path / f"sent-{number}"
        self._command = python(WORKER, tmp_path / "store", self.run, self.log, str(CAP), str(MONEY_CAP), str(PRICE))
        self._stack = stack
        self.process = self.start()

    def start(self) -> "Popen[str]":
        self.process = self._stack.enter_context(running(self._command))
        return self.process

    @property
    def sent(self) -> Counter[str]:
        return Counter(self.log.read_text()) if self.log.exists() else Counter()

    def kill_after(self, more: int) -> bool:
        """Kill it once it has sent so much more; return False if its budgets were used up before."""
        goal = self.sent.total() + more
        until(lambda: self.sent.total() >= goal or self.process.poll() is not None)
        self.process.kill()
        return self.process.wait() == -signal.SIGKILL


def test_four_processes_that_are_killed_spend_one_budget_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    deaths = 0
    with ExitStack() as stack:
        machines = [Machine(number, tmp_path, stack) for number in range(4)]
        for turn in range(10):
            one = machines[turn % 4]
            deaths += one.kill_after(25 + 7 * turn)
            one.start()
        for one in machines:
            told = ended(one.process)
            assert one.process.returncode == USED_UP, told
        sent: Counter[str] = sum((one.sent for one in machines), Counter())
    caps = {"search_calls": Decimal(CAP), "money": MONEY_CAP}
    budget = SharedBudget(FolderStore.open(tmp_path / "store"), "acme", "autumn", caps)
    for name in caps:
        budget.seed(name, spent=Decimal(0), unknown=Decimal(0))
    searches, money = CAP - (budget.left("search_calls") or 0), MONEY_CAP - (budget.left("money") or Decimal(0))
    assert deaths >= 4, "they were killed while they spent"
    assert sent["s"] <= searches <= CAP
    assert sent["c"] * PRICE <= money <= MONEY_CAP
    # What a process holds at its end goes to whoever draws later; the last one may find nobody's chunk given back yet.
    assert CAP - sent["s"] <= (deaths + 4) * CHUNK
    assert MONEY_CAP - sent["c"] * PRICE <= (deaths + 4) * CHUNK * PRICE
    assert searches - sent["s"] <= deaths * CHUNK, "a death costs a chunk at most"
    assert money - sent["c"] * PRICE <= deaths * CHUNK * PRICE

"""The real journal on a real disk against a model of a few lines, through every order of events that Hypothesis finds.

Items come in, are searched, created, settled, fail, are put back; the clock jumps; the process is restarted, dies
between two groups, or dies between writing a line and committing it.
"""

import asyncio
import os
import shutil
import sqlite3
import zlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipeline.errors import JournalError
from pipeline.journal.journal import Journal
from pipeline.journal.places import RESULTS
from pipeline.journal.sql.changes import ADVANCE
from pipeline.journal.storage import connect, open_disk
from pipeline.journal.writer import Writer
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, PAID, Choice, Hits, Kind, Problem, State, Task, Work
from pipeline.outcomes import NoHits, Tasked
from pipeline.results.record import RecordLines
from tests.proof.history import Created, read_history, violations
from tests.proof.power_loss import fast_folder
from tests.proof.workload import LOCAL, hits_of, items, job
from tests.support.fakes import NOW
from tests.support.lengths import THOROUGH

BUDGET = 10_000


@dataclass
class Expected:
    """What an item must look like on disk; `at` is when its hits came, None without hits."""

    url: str
    state: State = State.PENDING
    at: float | None = None
    retryable: bool = False
    line: bytes | None = None


@dataclass
class Fragile:
    """The journal's connection; armed, the power goes at the next commit, leaving the directory as it lies there."""

    folder: Path
    left: Path | None = None
    inner: Any = None

    def opened(self, path: Path) -> "Fragile":
        self.inner = connect(path)
        return self

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        if (sql == "COMMIT" or sql.startswith(ADVANCE)) and self.left is not None:
            if not self.left.exists():
                shutil.copytree(self.folder, self.left)
            raise sqlite3.OperationalError("the power is gone")
        return self.inner.execute(sql, parameters)

    def close(self) -> None:
        self.inner.close()


@dataclass
class Life:
    """One process: its journal, and the items on their way in it."""

    writer: Writer
    journal: Journal
    connection: Fragile
    after: dict[State, int] = field(default_factory=lambda: {State.PENDING: 0, State.SEARCHED: 0})
    taken: set[str] = field(default_factory=set)
    begun: list[Work] = field(default_factory=list)
    creating: list[tuple[Work, bool]] = field(default_factory=list)  # and whether the vendor has executed it
    steps: int = 0  # paid calls and outcomes: a death before there are some teaches nothing


class JournalMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.base = fast_folder()
        self.runner = asyncio.Runner()
        self.number = 0
        self.folder = Path(self.base.name) / "0"
        self.folder.mkdir()
        self.now = NOW
        self.expected: dict[str, Expected] = {}
        self.executed: list[Created] = []
        self.acknowledged: dict[str, int] = {}
        self.asked = dict.fromkeys(("search", "create"), 0)
        self.records = RecordLines(job(self.folder, in_flight=1), "0" * 64)
        self.life = self.runner.run(self._start())

    # --- what happens ---

    @precondition(lambda self: sum(known.state is State.PENDING for known in self.expected.values()) < 4)
    @rule(count=st.integers(2, 4))
    def items_come_in(self, count: int) -> None:
        known = len(self.expected)
        new = [item for item in items(100) if int(item.id[4:]) % 9 != 8][known : known + count]
        self._do(self.life.journal.admit(new, generation=1, accept_changes=False))
        self.expected |= {item.id: Expected(item.source) for item in new}

    @precondition(lambda self: self._waiting())
    @rule(data=st.data())
    def items_are_begun(self, data: st.DataObject) -> None:
        state = data.draw(st.sampled_from(sorted({self.expected[id_].state for id_ in self._waiting()})), "state")
        after = self.life.after[state]
        taken = self._do(self.life.journal.waiting.take(state, after=after, generation=1, now=self.now))
        waiting = [id_ for id_, known in self.expected.items() if known.state is state]
        assert {work.item.id for work in taken} <= set(waiting)
        for work in taken:
            self.life.after[state] = work.ord
            self.life.taken.add(work.item.id)
            known = self.expected[work.item.id]
            if known.at is not None and self._old(known.at):
                assert work.hits is None
                known.at, known.state = None, State.PENDING
            else:
                assert (work.hits is not None) == (known.at is not None)
                self.life.begun.append(work)

    @precondition(lambda self: any(work.hits is None for work in self.life.begun))
    @rule(data=st.data(), noted=st.booleans())
    def item_is_searched(self, data: st.DataObject, noted: bool) -> None:
        work = data.draw(st.sampled_from([work for work in self.life.begun if work.hits is None]), "searched")
        self._send(Kind.SEARCH, work)
        hits = hits_of(work.item.source)
        work.hits = Hits(hits.array, hits.scores, hits.complete, hits.total, hits.request_id, self.now)
        if noted:  # unless nothing was found
            self.life.journal.steps.found(work, work.hits)
            known = self.expected[work.item.id]
            known.state, known.at = State.SEARCHED, self.now

    @precondition(lambda self: any(work.hits is not None for work in self.life.begun))
    @rule(data=st.data(), executed=st.booleans())
    def create_is_sent(self, data: st.DataObject, executed: bool) -> None:
        work = self._draw(data, searched=True)
        assert work.hits is not None
        self._do(self.life.journal.budget.reserve(Kind.CREATE))
        self._do(self.life.journal.steps.intend(work, work.hits, request_id="asked", at=self.now))
        self._send(Kind.CREATE, work, reserved=True)
        known = self.expected[work.item.id]
        known.state, known.at = State.CREATING, work.hits.at
        self.life.creating.append((work, executed))
        if executed:
            ids = tuple(hit["patent_id"] for hit in msgspec.json.decode(work.hits.array))
            self.executed.append(Created(known.url, f"task-{len(self.executed)}", ids))

    @precondition(lambda self: any(executed for _, executed in self.life.creating))
    @rule(data=st.data())
    def answer_comes(self, data: st.DataObject) -> None:
        work = self._answered(data, executed=True)
        state, line, task = self._tasked(work)
        self._do(self.life.journal.steps.settle(work, state, line, task))
        self._settled(work, state, line)

    @precondition(lambda self: self.life.creating)
    @rule(data=st.data())
    def answer_is_lost(self, data: st.DataObject) -> None:
        work = self._answered(data)
        self._leave(work, State.IN_DOUBT, retryable=False)

    @precondition(lambda self: any(not executed for _, executed in self.life.creating))
    @rule(data=st.data())
    def create_is_refused_as_too_fast(self, data: st.DataObject) -> None:
        work = self._answered(data, executed=False)
        self.life.journal.steps.put_back(work, None)
        self.expected[work.item.id].state = State.SEARCHED
        self.life.begun.append(work)

    @precondition(lambda self: any(work.hits is not None for work in self.life.begun))
    @rule(data=st.data())
    def nothing_is_found(self, data: st.DataObject) -> None:
        work = self._draw(data, searched=True)
        assert work.hits is not None
        state, spliced, task = self.records.settled(work, NoHits(work.hits))
        line = bytes(spliced)
        self._do(self.life.journal.steps.settle(work, state, line, task))
        self._settled(work, state, line)

    @precondition(lambda self: len(self.life.begun) > 2)
    @rule(data=st.data(), retryable=st.booleans())
    def item_fails(self, data: st.DataObject, retryable: bool) -> None:
        self._leave(self._draw(data), State.FAILED, retryable=retryable)

    @precondition(lambda self: len(self.life.begun) > 2)
    @rule(data=st.data())
    def item_is_put_back(self, data: st.DataObject) -> None:
        work = self._draw(data)
        self.life.journal.steps.put_back(work, work.hits)
        if work.hits is not None:
            known = self.expected[work.item.id]
            known.state, known.at = State.SEARCHED, work.hits.at

    @precondition(lambda self: any(known.state is State.SEARCHED for known in self.expected.values()))
    @rule(hours=st.sampled_from([1, 5, 9]))
    def time_passes(self, hours: int) -> None:
        self.now += hours * 3600

    # --- how processes end ---

    @precondition(lambda self: self.life.steps > 3 or not (self.life.begun or self.life.creating or self._waiting()))
    @rule()
    def process_is_restarted(self) -> None:
        self._do(self.life.journal.finish())
        self._do(self.life.journal.close())
        self._begin_again(self.folder)

    @precondition(lambda self: self.life.steps > 3 or self.life.creating)
    @rule()
    def process_dies_between_groups(self) -> None:
        self._do(self.life.journal.recall(["asked"]))  # what was posted before is on its way to the disk
        left = self._next_folder()
        shutil.copytree(self.folder, left)
        self._do(self.life.journal.close())
        self._begin_again(left)

    @precondition(lambda self: any(executed for _, executed in self.life.creating))
    @rule(data=st.data(), torn=st.one_of(st.just(0), st.integers(1, 900)), crash=st.booleans())
    def process_dies_before_the_commit_of_a_line(self, data: st.DataObject, torn: int, crash: bool) -> None:
        """With `crash` it dies there and then, with some of the line not written; else the disk has failed."""
        work = self._answered(data, executed=True)
        state, line, task = self._tasked(work)
        left = self._next_folder()
        self.life.connection.left = left
        for failing in (self.life.journal.steps.settle(work, state, line, task), self.life.journal.close()):
            try:
                self._do(failing)
            except JournalError:
                continue
            raise AssertionError("a failed commit was acknowledged")
        if crash and torn:
            os.truncate(left / RESULTS, (left / RESULTS).stat().st_size - min(torn, len(line)))
        if not (crash and torn):
            known = self.expected[work.item.id]
            known.state, known.line, known.at = state, line, None
        self._begin_again(left if crash else self.folder)

    # --- what must hold ---

    @invariant()
    def states_are_as_expected(self) -> None:
        rows = self._do(self.life.writer.do(lambda disk: disk.db.do("SELECT id, state, segment FROM items").fetchall()))
        assert {row[0]: (State(row[1]), row[2] is not None) for row in rows} == {
            id_: (known.state, known.at is not None) for id_, known in self.expected.items()
        }

    def teardown(self) -> None:
        self._do(self.life.journal.close())
        self._compare()
        self.runner.close()
        self.base.cleanup()

    # --- parts ---

    def _do(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self.runner.run(wait())

    async def _start(self) -> Life:
        connection = Fragile(self.folder)
        how = {"now": self.now, "connect": connection.opened, "mounts": LOCAL}
        writer = Writer(partial(open_disk, self.folder, **how), linger_s=0)
        await writer.start()
        journal = Journal(writer, budgets=dict.fromkeys(PAID, BUDGET))
        await journal.begin()
        await journal.requeue_failed()
        return Life(writer, journal, connection)

    def _next_folder(self) -> Path:
        self.number += 1
        return Path(self.base.name) / str(self.number)

    def _begin_again(self, folder: Path) -> None:
        """The next process: what was on its way is in doubt, what failed in passing waits again."""
        self.folder = folder
        self.life = self.runner.run(self._start())
        for known in self.expected.values():
            if known.state is State.CREATING:
                known.state = State.IN_DOUBT
            elif known.state is State.FAILED and known.retryable:
                known.state = State.PENDING if known.at is None else State.SEARCHED
        self._compare()

    def _compare(self) -> None:
        known = {"executed": self.executed, "acknowledged": self.acknowledged, "asked": self.asked}
        history = read_history(self.folder, dead=bool(self.life.creating), **known)
        assert violations(history) == []
        lines = {row.id: history.line(row) for row in history.indexed}
        assert lines == {id_: known.line for id_, known in self.expected.items() if known.line is not None}

    def _draw(self, data: st.DataObject, *, searched: bool = False) -> Work:
        work = data.draw(st.sampled_from([w for w in self.life.begun if w.hits is not None or not searched]), "item")
        self.life.begun = [other for other in self.life.begun if other is not work]
        return work

    def _answered(self, data: st.DataObject, *, executed: bool | None = None) -> Work:
        creating = [work for work, was in self.life.creating if executed in (None, was)]
        work = data.draw(st.sampled_from(creating), "answered")
        self.life.creating = [pair for pair in self.life.creating if pair[0] is not work]
        return work

    def _send(self, kind: Kind, work: Work, *, reserved: bool = False) -> None:
        if not reserved:
            self._do(self.life.journal.budget.reserve(kind))
        self.life.steps += 1
        self.life.journal.budget.sent(kind)
        work.calls.add(kind)
        self.asked[kind.value] += 1

    def _tasked(self, work: Work) -> tuple[State, bytes, Task | None]:
        assert work.hits is not None
        made = next(created for created in reversed(self.executed) if created.url == work.item.source)
        choice = Choice(work.hits.array, len(made.hits), 0)
        state, line, task = self.records.settled(work, Tasked(work.hits, choice, Task(made.task_id, self.now)))
        return state, bytes(line), task

    def _settled(self, work: Work, state: State, line: bytes) -> None:
        known = self.expected[work.item.id]
        known.state, known.line, known.at = state, line, None
        self.acknowledged[work.item.id] = zlib.crc32(line)

    def _leave(self, work: Work, state: State, *, retryable: bool) -> None:
        problem = Problem("create", "code", "message", "retry", retryable)
        self._do(self.life.journal.steps.leave_open(work, state, problem, work.hits))
        known = self.expected[work.item.id]
        known.state, known.retryable = state, retryable
        known.at = work.hits.at if work.hits is not None else None

    def _waiting(self) -> list[str]:
        """Items that this process may begin: paid ones only while none of its own waits, as in engine/order."""
        ours = any(self.expected[id_].state is State.SEARCHED for id_ in self.life.taken)
        states = (State.PENDING,) if ours else (State.PENDING, State.SEARCHED)
        return [id_ for id_, known in self.expected.items() if known.state in states and id_ not in self.life.taken]

    def _old(self, at: float) -> bool:
        return self.now > at + HITS_LIFE_S - EXPIRY_MARGIN_S


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(
    max_examples=300 if THOROUGH else 6,
    stateful_step_count=60,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

"""One access token for all machines: one asks, the others wait; a refused one is replaced once."""

import builtins
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.errors import Code, RunPaused, RunStopped, SpecError, Stopping
from pipeline.leases import tokens
from pipeline.leases.folder_store import FolderStore
from pipeline.leases.sealed import Seal
from pipeline.leases.store import Store
from pipeline.leases.tokens import CLAIM_S, SharedToken, SharedTokens, seal_for
from pipeline.system.fault import Fault
from pipeline.system.masking import masked
from tests.support.shared_store import MemoryStore

pytestmark = pytest.mark.anyio

RENEW_AT = 5 / 6


class World:
    """A vendor that gives numbered tokens, one clock for all, and machines that sleep by moving it."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or MemoryStore()
        self.now = 1_000_000.0
        self.asked: list[str] = []
        self.vendor: Callable[[], Any] = lambda: None
        self.slept = 0.0

    def machine(
        self,
        name: str = "one",
        *,
        secret: str = "secret",
        ahead_s: float = 0.0,
        wait: Callable[[], Awaitable[None]] | None = None,
    ) -> SharedTokens:
        """Make a machine; where it sleeps it lets the time pass, or does `wait`."""

        async def ask() -> SharedToken:
            self.asked.append(name)
            number = len(self.asked)
            await anyio.sleep(0)
            if (outcome := self.vendor()) is not None:
                await outcome
            return SharedToken(f"canary-token-{number}", 1800.0)

        async def sleep(seconds: float) -> None:
            if wait is not None:
                await wait()
                return
            self.now += seconds
            self.slept += seconds
            await anyio.sleep(0)

        return SharedTokens(
            self.store,
            "acme",
            Seal(secret, "acme"),
            ask,
            sleep=sleep,
            renew_at=RENEW_AT,
            wall=lambda: self.now + ahead_s,
            clock=lambda: self.now,
        )


async def test_of_many_machines_one_asks_and_all_have_its_token() -> None:
    world, got, one_has_it = World(), list[str](), anyio.Event()

    async def fetch(machine: SharedTokens) -> None:
        got.append((await machine.fetch("")).value)
        one_has_it.set()

    async with anyio.create_task_group() as all_:
        for number in range(8):  # no time passes meanwhile: on a slow machine the claim would end before the token came
            all_.start_soon(fetch, world.machine(str(number), wait=one_has_it.wait))
    assert (got, len(world.asked)) == (["canary-token-1"] * 8, 1)


async def test_all_renew_a_token_at_the_same_moment_of_its_life() -> None:
    world = World()
    one, other = world.machine(), world.machine("other")
    assert (await one.fetch("")).lifetime_s == 1800
    world.now += 1200
    late = await other.fetch("")
    assert (late.value, RENEW_AT * late.lifetime_s) == ("canary-token-1", pytest.approx(300.0))
    world.now += 301
    assert [(await machine.fetch("")).value for machine in (other, one)] == ["canary-token-2"] * 2


async def test_a_refused_token_is_replaced_by_a_newer_one_that_is_there_or_else_by_a_new_one() -> None:
    world = World()
    one, other = world.machine(), world.machine("other")
    old = (await one.fetch("")).value
    assert (await other.fetch("")).value == old
    new = (await one.fetch(old)).value
    assert (await other.fetch(old)).value == new, "it was there already"
    assert (await other.fetch("")).value == (await one.fetch(old)).value == new, "the refused one is known for old"
    assert world.asked == ["one", "one"]


async def test_a_machine_that_died_while_it_asked_is_replaced_when_its_claim_ends() -> None:
    world, reached = World(), anyio.Event()

    async def hang() -> None:
        reached.set()
        await anyio.sleep_forever()

    world.vendor = hang
    async with anyio.create_task_group() as dying:
        # A death puts nothing more: the store takes nothing of what the cancelled one puts at its end.
        dying.start_soon(world.machine("dead").fetch, "")
        await reached.wait()
        claim = {series: dict(entries) for series, entries in world.store.entries.items()}
        dying.cancel_scope.cancel()
    world.store.entries = claim
    world.vendor = lambda: None
    begun = world.now
    assert (await world.machine("next").fetch("")).value == "canary-token-2"
    assert CLAIM_S <= world.now - begun <= CLAIM_S + 1
    assert world.asked == ["dead", "next"]


@pytest.mark.parametrize("ahead_s", [-300.0, 300.0])
async def test_no_clock_that_is_wrong_makes_a_claim_last_longer(ahead_s: float) -> None:
    world = World()
    claimed = world.machine("dead", ahead_s=ahead_s)
    assert claimed._look("") == "claimed"
    begun = world.now
    await world.machine("next").fetch("")
    assert world.now - begun <= CLAIM_S + 1


async def test_who_gets_no_token_lets_the_others_ask_at_once() -> None:
    world = World()

    async def refuse() -> None:
        raise RunStopped("no access token", code=Code.CREDENTIALS)

    world.vendor = refuse
    for name in ("one", "other"):
        with pytest.raises(RunStopped):
            await world.machine(name).fetch("")
    assert (world.asked, world.slept) == (["one", "other"], 0)


async def test_a_token_that_came_after_its_claim_had_ended_is_not_used_beside_the_next_one() -> None:
    """A vendor that keeps one token alive ended it with the next one."""
    world = World()
    slow, other = world.machine("slow"), world.machine("other")

    async def late() -> None:
        world.vendor = lambda: None
        world.now += CLAIM_S + 6
        assert (await other.fetch("")).value == "canary-token-2"

    world.vendor = late
    assert (await slow.fetch("")).value == "canary-token-2"


async def test_a_token_sealed_with_another_secret_is_of_no_use() -> None:
    world = World()
    await world.machine().fetch("")
    assert (await world.machine("other", secret="another").fetch("")).value == "canary-token-2"


async def test_the_end_of_the_run_ends_the_wait() -> None:
    world = World()
    world.machine("dead")._look("")
    waiting = world.machine()

    async def stop(_: float) -> None:
        raise Stopping

    waiting._sleep = stop
    with pytest.raises(Stopping):
        await waiting.fetch("")


@pytest.mark.proofs
async def test_a_store_that_does_not_answer_is_waited_for_and_not_gone_round() -> None:
    world = World()
    machine = world.machine()
    world.store.answers = False
    with pytest.raises(RunPaused, match="does not answer") as caught:
        await machine.fetch("")
    assert (world.asked, caught.value.code) == ([], "leases")
    world.store.answers = True
    assert (await machine.fetch("")).value == "canary-token-1"


async def test_a_lost_answer_makes_nobody_ask_twice() -> None:
    losing = iter([True, True, True, True])
    world = World(MemoryStore(lambda: next(losing, False)))
    one = world.machine()
    assert (await one.fetch("")).value == "canary-token-1"
    assert (await world.machine("other").fetch("")).value == "canary-token-1"
    assert world.asked == ["one"]


async def test_no_file_log_or_message_shows_the_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world = World(FolderStore.open(tmp_path))
    for name in ("one", "other"):
        machine = world.machine(name)
        await machine.fetch("")
        assert "canary" not in repr(machine)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert b"canary" not in b"".join(files)
    assert "canary" not in caplog.text
    assert "canary" not in masked("refused: canary-token-1 is not valid")


def test_where_the_library_is_lacking_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "pipeline.leases.sealed":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SpecError, match=r"cryptography") as caught:
        seal_for("secret", "acme")
    (fault,) = caught.value.lines
    assert isinstance(fault, Fault)
    assert fault.fix == "pip install 'infringement-pipeline[cluster]'"
    assert "secret" not in str(caught.value)


def test_the_claim_is_longer_than_the_vendor_takes() -> None:
    assert tokens.CLAIM_S > 10 + tokens.SKEW_S

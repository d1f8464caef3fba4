"""Injuries of a chaos campaign: what is done to machines, to their links, to the vendor and to the place of leases."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pipeline.leases.lease import silence_s
from tests.proof.chaos_machines import AGAIN, OVER, STORE_CUTS, Machine, Vendor
from tests.support.links import Links

MACHINES = 4
LEASES = "leases"  # as a file system of its own, beside the shared folder


class World:
    """The machines of one run, their vendor and their place of leases; and what is still to happen to them.

    wrong  exit codes that no injury explains
    """

    def __init__(self, folder: Path, vendor: Vendor, links: Links, dice: random.Random, *, code: str) -> None:
        self.vendor, self.dice = vendor, dice
        self.place = folder / LEASES
        self.away = folder / "away"
        self.wrong: list[str] = []
        self.machines = [
            Machine(folder, f"w{number}", vendor.url, links.add(vendor.port), code) for number in range(MACHINES)
        ]
        self._later: list[tuple[float, Callable[[], None]]] = []

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Let something happen after so many seconds."""
        self._later.append((time.monotonic() + seconds, action))

    def tend(self, *, hurry: bool = False) -> None:
        """Let happen what is due, with `hurry` all of it, and start the machines again whose supervisor would."""
        now = time.monotonic()
        due = [(at, action) for at, action in self._later if hurry or at <= now]
        self._later = [one for one in self._later if one not in due]
        for _, action in sorted(due, key=lambda one: one[0]):
            action()
        for machine in self.machines:
            if (code := machine.ended()) is not None:
                self._take(machine, code)
            elif machine.start_at is not None and (hurry or machine.start_at <= now):
                machine.start()

    def at_work(self, shards: int) -> bool:
        """Return whether every machine has made a call that can have one of so many shards."""
        return sum(machine.has_called for machine in self.machines) >= min(shards, MACHINES)

    @property
    def done(self) -> bool:
        """True when every machine came to the end of its work."""
        return all(machine.done for machine in self.machines)

    def end(self) -> None:
        """End all processes."""
        for machine in self.machines:
            machine.end()
        self.vendor.kill()

    def _take(self, machine: Machine, code: int) -> None:
        machine.done = code in OVER
        if code not in (*OVER, *AGAIN):
            self.wrong.append(f"{machine.name} ended with {code}: {machine.last_words()}")
        if not machine.done:
            machine.start_at = time.monotonic() + self.dice.choice([0.1, 1.0, 3.0])


def _kill(world: World, machine: Machine) -> None:
    machine.signal(signal.SIGKILL)


def _drain(world: World, machine: Machine) -> None:
    machine.signal(signal.SIGTERM)


def _stop(world: World, machine: Machine, seconds: float) -> None:
    """Stop a worker for so long; it may be killed meanwhile."""
    process = machine.process
    machine.signal(signal.SIGSTOP)

    def go_on() -> None:
        if machine.process is process:
            machine.signal(signal.SIGCONT)

    world.later(seconds, go_on)


def _freeze(lease_s: float) -> Callable[[World, Machine], None]:
    """Stop a worker until after its lease, and mostly until others took what it held."""
    return lambda world, machine: _stop(world, machine, world.dice.uniform(lease_s, silence_s(lease_s) + 3))


def _pause(lease_s: float) -> Callable[[World, Machine], None]:
    return lambda world, machine: _stop(world, machine, world.dice.uniform(0.05, 0.9) * lease_s)


def _cut_off(lease_s: float) -> Callable[[World, Machine], None]:
    def cut(world: World, machine: Machine) -> None:
        machine.cut_off(world.dice.choice(STORE_CUTS))
        world.later(world.dice.uniform(0.5 * lease_s, silence_s(lease_s) + 4), machine.reconnect)

    return cut


def _cut_link(world: World, machine: Machine) -> None:
    machine.link.cut()
    world.later(world.dice.uniform(0.5, 5), machine.link.heal)


def _kill_vendor(world: World, machine: Machine) -> None:
    world.vendor.kill()
    refused = [one.link for one in world.machines if not one.link.is_cut]
    for link in refused:
        link.cut(silent=False)

    def start() -> None:
        world.vendor.start()
        for link in refused:
            link.heal()

    world.later(world.dice.uniform(0.3, 3), start)


def _bring_back(world: World) -> None:
    world.away.rename(world.place)  # which fails if anybody began another store there


def _take_place_away(lease_s: float) -> Callable[[World, Machine], None]:
    """Take the place of the leases away; whoever starts meanwhile finds none, and ends."""

    def take(world: World, machine: Machine) -> None:
        world.place.rename(world.away)
        away_s = world.dice.uniform(0.3, 1.5 * silence_s(lease_s))
        world.later(away_s, lambda: _bring_back(world))

    return take


class Injury(NamedTuple):
    """A kind of injury: how often it comes, to whom it may be done, and what is done."""

    weight: int
    may: Callable[[World, Machine], bool]
    do: Callable[[World, Machine], None]


def injuries_of(lease_s: float) -> dict[str, Injury]:
    """Return all kinds of injuries, for leases of this length."""

    def runs(world: World, machine: Machine) -> bool:
        return machine.lives and not machine.frozen

    return {
        "killed": Injury(25, lambda world, machine: machine.lives, _kill),
        "frozen beyond its lease": Injury(14, runs, _freeze(lease_s)),
        "frozen for less": Injury(12, runs, _pause(lease_s)),
        "asked to end": Injury(10, runs, _drain),
        "cut off from the leases": Injury(
            16, lambda world, machine: machine.lives and not machine.is_cut_off, _cut_off(lease_s)
        ),
        "cut off from the vendor": Injury(
            14, lambda world, machine: machine.lives and not machine.link.is_cut and world.vendor.is_up, _cut_link
        ),
        "vendor killed": Injury(5, lambda world, machine: world.vendor.is_up, _kill_vendor),
        "leases away for all": Injury(4, lambda world, machine: not world.away.exists(), _take_place_away(lease_s)),
    }


def injure(world: World, kinds: dict[str, Injury]) -> str | None:
    """Draw an injury and a machine that it may be done to; return its kind, None where there is none now."""
    [kind] = world.dice.choices([*kinds], [one.weight for one in kinds.values()])
    chosen = kinds[kind]
    if not (fit := [machine for machine in world.machines if chosen.may(world, machine)]):
        return None
    chosen.do(world, world.dice.choice(fit))
    return kind

"""`make simulate`: 100 million pictures and 1,000 accounts, by the real leases, slots and claims in virtual time.

Minutes are simulated: a steady pace, a death, an outage, an upgrade, and stores under more and more workers. What they
cost is multiplied to days and to 100 million. It prints markdown, each assumption in a table: docs/estimates.md.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from tests.bench.estimates import GUESS, Assumed, assumed, days, dollars_a_day, fleet_rows
from tests.support.simulated_workers import Case, World, simulated
from tests.support.timed_store import StoreKind

WARM_S, STEADY_S, AFTER_S = 100.0, 200.0, 240.0
FOLDER = StoreKind("folder", 0.001, 0.02, page=200, of_put=6, of_get=2, per_s=20_000)
BUCKET = StoreKind("bucket", 0.02, 0.2, page=1000, of_put=1, of_get=1, per_s=5_500)


class Steady(NamedTuple):
    """A steady pace: how much of the limit is used, and requests of the store in a second."""

    use: float
    per_s: dict[str, float]


class Cost(NamedTuple):
    """What a death costs, in seconds of the whole pace; creates in doubt, and shards to be taken over."""

    seconds: float
    in_doubt: float
    takeovers: int


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table of markdown."""
    head = list(head)
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def limit(world: World) -> float:
    """Return the pictures per second that all accounts allow."""
    return world.case.qps * world.case.accounts


def steady(world: World, *, warm_s: float = WARM_S, steady_s: float = STEADY_S) -> Steady:
    """Let a world begin, then measure it."""
    world.go_on(warm_s)
    done, counts = world.done(), world.server.counts.copy()
    world.go_on(steady_s)
    asked = world.server.counts - counts
    return Steady((world.done() - done) / steady_s / limit(world), {one: n / steady_s for one, n in asked.items()})


def lost(world: World, pace: float, since: float, done: float) -> float:
    """Return the seconds of the whole pace that are missing since then, against what is usual."""
    return max(0.0, world.threads.now - since - (world.done() - done) / (limit(world) * pace))


def death(world: World, pace: float, back_s: float, after_s: float = AFTER_S) -> Cost:
    """Kill a machine, start its workers anew after a while, and measure what was lost."""
    since, done, in_doubt = world.threads.now, world.done(), world.in_doubt
    killed = world.of_machine(0)
    for worker in killed:
        worker.kill()
    world.go_on(back_s)
    for worker in killed:
        worker.begin()
    world.go_on(after_s - back_s)
    return Cost(lost(world, pace, since, done), world.in_doubt - in_doubt, len(killed))


def outage(world: World, pace: float, seconds: float) -> float:
    """Let the store be away for all, and return the seconds lost."""
    since, done = world.threads.now, world.done()
    world.server.out_until = since + seconds
    world.go_on(seconds + 60)
    return lost(world, pace, since, done)


def upgrade(world: World, pace: float) -> float:
    """Stop and start one machine after the other in good order, and return the seconds lost."""
    since, done = world.threads.now, world.done()
    for machine in range(world.case.machines):
        workers = world.of_machine(machine)
        for worker in workers:
            worker.asked = True
        while any(worker.alive for worker in workers):
            world.go_on(1)
        for worker in workers:
            worker.begin()
        world.go_on(20)
    world.go_on(30)
    return lost(world, pace, since, done)


def of_one_account(given: Assumed) -> None:
    """Print one account: pace, deaths and requests."""
    rows = []
    for qps in (5, 50, 200):
        for workers in (1, 4, 16):
            case = Case(FOLDER, qps=qps, workers=workers, machines=workers, between_s=0.0)
            with simulated(case) as world:
                found = steady(world)
                cost = death(world, found.use, given.back_s)
            use = found.use * given.grid * given.working(qps / workers, case.shard_items)
            use *= 1 - cost.seconds * workers * given.deaths / 86_400
            bucket = replace(case, store=BUCKET)
            with simulated(bucket) as world:
                asked = steady(world, steady_s=60).per_s
            rows.append(
                (
                    qps,
                    workers,
                    f"{use:.3f}",
                    f"{days(qps * use):,.1f}",
                    f"{cost.seconds:.0f}",
                    f"{cost.in_doubt:.0f}",
                    *(f"{asked.get(one, 0):,.1f}" for one in ("put", "list", "get")),
                    f"{dollars_a_day(asked, given):,.1f}",
                )
            )
    head = "QPS, workers, use of the limit, days, s lost a death, in doubt a death, puts/s, lists/s, gets/s, USD a day"
    table(head.split(", "), rows)


def of_a_thousand(given: Assumed, accounts: int) -> None:
    """Print 1,000 accounts with a worker each, on few and on many machines."""
    head = (
        "machines; use of the limit; 100 M pictures; s of all lost a death; in doubt a death; takeovers a death; "
        "requests of the store a second"
    )
    table(head.split("; "), (fleet(given, accounts, machines) for machines in (10, 40)))
    table(("", "10 machines", "40 machines"), fleet_rows(given, accounts))


def fleet(given: Assumed, accounts: int, machines: int) -> tuple[object, ...]:
    """Simulate so many accounts, all in one place of leases, on so many machines, and the death of one."""
    case = Case(FOLDER, accounts=accounts, machines=machines, shards=4, between_s=0.0, tick_s=2.0)
    with simulated(case) as world:
        found = steady(world, warm_s=40, steady_s=20)
        cost = death(world, found.use, given.back_s, after_s=given.back_s + 40)
    use = found.use * given.grid * given.working(case.qps, case.shard_items)
    use *= 1 - cost.seconds * machines * given.deaths / 86_400
    return (
        machines,
        f"{use:.3f}",
        f"{days(case.qps * accounts * use) * 24:.1f} h",
        f"{cost.seconds:.1f}",
        f"{cost.in_doubt:,.0f}",
        f"{cost.takeovers}, {cost.takeovers * case.shard_items / 2 * given.item_kb / 1e6:,.1f} GB",
        f"{sum(found.per_s.values()):,.0f}",
    )


def of_mishaps() -> None:
    """Print what outages and upgrades cost one account with four workers."""
    rows: list[tuple[object, ...]] = []
    for seconds in (5, 20, 60, 300):
        with simulated(Case(FOLDER, qps=50, workers=4, machines=4)) as world:
            found = steady(world, steady_s=60)
            rows.append((f"the store is away for {seconds} s", f"{outage(world, found.use, seconds):.0f}"))
    with simulated(Case(FOLDER, qps=50, workers=4, machines=4)) as world:
        found = steady(world, steady_s=60)
        rows.append(("an upgrade, one machine after the other", f"{upgrade(world, found.use):.0f}"))
    table(("one account, QPS 50, four workers on four machines", "seconds of its pace lost"), rows)


def of_stores(most: int) -> None:
    """Print what one place of leases carries, and what slow answers do."""
    cases = ((10, 1), (100, 1), (400, 1), (1000, 1), (10, 16), (1, 16), (1, 100), (1, 200))
    rows = (
        (kind.name, accounts, each, *_carried(kind, accounts, each, 40.0))
        for kind in (FOLDER, BUCKET)
        for accounts, each in cases
        if accounts * each <= most
    )
    head = (
        "store; accounts in one place; workers of each; requests a second; renewals over 2.5 s; looks over 5 s; "
        "time without a lease"
    )
    table(head.split("; "), rows)
    answers = []
    for typical, slow in ((0.001, 0.02), (0.02, 0.2), (0.1, 1.0), (0.3, 3.0), (1.0, 5.0)):
        kind = StoreKind("", typical, slow, page=1000, of_put=1, of_get=1, per_s=1e6)
        answers.append((f"{typical * 1e3:g} / {slow * 1e3:g} ms", *_carried(kind, 1, 4, 600.0)[1:]))
    head = "answers of the store, half / 99 of 100 within; renewals over 2.5 s; looks over 5 s; time without a lease"
    table(head.split("; "), answers)


def _carried(kind: StoreKind, accounts: int, each: int, seconds: float) -> tuple[str, ...]:
    """Return what the workers of accounts ask of one place of leases, and what becomes of their renewals and looks."""
    workers = accounts * each
    with simulated(Case(kind, accounts=accounts, workers=each, machines=10, shards=4, tick_s=2.0)) as world:
        world.go_on(40)
        for account in world.accounts:  # the renewals of three minutes, of all who are there
            world.place.names[f"w/{account.name}"] = 72 * each
        before, unleased = sum(world.server.counts.values()), world.unleased_s
        for worker in world.workers:
            worker.forget_turns()
        world.go_on(seconds)
        asked, unleased = sum(world.server.counts.values()) - before, world.unleased_s - unleased
        for worker in world.workers:
            worker.kill()
        renewals, looks = world.lasted["renew"], world.lasted["look"]
    return (
        f"{asked / seconds:,.0f}",
        _part(sum(one > 2.5 for one in renewals), len(renewals)),
        _part(sum(one > 5.0 for one in looks), len(looks)),
        _part(unleased, workers * seconds),
    )


def _part(some: float, of: float) -> str:
    return f"{100 * some / of:.1f} %" if of else "all"


def of_protocol() -> Iterable[tuple[str, str, str]]:
    """Return the assumptions about stores and processes, which are no options."""
    for kind in (FOLDER, BUCKET):
        asked = f"{kind.of_put} requests a put, {kind.of_get} a get, {kind.page} names a list"
        times = f"{kind.typical_s * 1e3:g} ms, {kind.slow_s * 1e3:g} ms (99 of 100)"
        yield f"a {kind.name}: an answer; requests in a second", f"{times}; {kind.per_s:,g}; {asked}", GUESS
    case = Case(FOLDER)
    yield "items of a shard", f"{case.shard_items:,}", "the default of a job"
    yield "start of a worker", f"{case.start_s:g} s", GUESS
    yield "copy of an epoch", f"{case.copy_per_s:,g} items/s", "measured, tests/bench/many_machines.py: 1 s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--most", type=int, default=1000, help="the most workers in one place of leases")
    parser.add_argument("--only", choices=["assumptions", "one", "mishaps", "thousand", "stores"])
    given, options = assumed(parser)
    parts: dict[str, Callable[[], None]] = {
        "assumptions": lambda: table(("assumed", "value", "from"), [*given.rows(), *of_protocol()]),
        "one": lambda: of_one_account(given),
        "mishaps": of_mishaps,
        "thousand": lambda: of_a_thousand(given, options.accounts),
        "stores": lambda: of_stores(options.most),
    }
    for part in [options.only] if options.only else parts:
        parts[part]()


if __name__ == "__main__":
    main()

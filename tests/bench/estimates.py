"""The assumptions of `make simulate`, each with where it comes from, and the arithmetic that needs no simulation."""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

PICTURES = 100_000_000
GUESS = "a guess"
SPEED, SCALE = "performance.md", "`make scale`"

# Name, unit and source of each; the fields below hold the values.
WORDS = {
    "grid": ("use of the limit by one process", "", f"measured, {SPEED}, `make pace`"),
    "answer_s": ("answer of the vendor", "s", "the vendor's documents: most within 5 s"),
    "change_s": (
        "a change of shards, beyond two answers",
        "s",
        f"measured, {SCALE}, on a busy machine",
    ),
    "deaths": ("deaths of each machine in a day", "", GUESS),
    "back_s": ("from a death until its workers run again", "s", f"{GUESS}: a supervisor and a boot"),
    "search_kb": ("answer to a search", "KB", f"{SPEED}, of 100 hits"),
    "record_kb": ("a record", "KB", f"{GUESS}: `output.hits: 5`; with all hits 73"),
    "journal_b": ("journal", "bytes an item", "measured, tests/bench/many_machines.py"),
    "cpu_ms": ("processor time of a picture", "ms", f"measured, {SPEED}, `make bench`"),
    "process_mb": ("memory of a worker", "MB", f"measured, {SPEED}, `make growth`"),
    "syncs": ("syncs of an item, when nothing waits for company", "", f"{GUESS}: intent, hits, task"),
    "usd_put": ("1,000 puts or lists of a bucket", "USD", f"{GUESS}: a public price list"),
    "usd_get": ("1,000 gets of a bucket", "USD", f"{GUESS}: a public price list"),
}


@dataclass(frozen=True)
class Assumed:
    """The values; each is an option of the command."""

    grid: float = 0.996
    answer_s: float = 5.0
    change_s: float = 1.0
    deaths: float = 1.0
    back_s: float = 120.0
    search_kb: float = 73.0
    record_kb: float = 4.0
    journal_b: float = 430.0
    cpu_ms: float = 0.93
    process_mb: float = 66.0
    syncs: float = 3.0
    usd_put: float = 0.005
    usd_get: float = 0.0004

    def working(self, qps: float, items: int) -> float:
        """Return the part of a worker's time in which it may send: not while the last of a shard come to their end."""
        lasts = items / qps
        return lasts / (lasts + 2 * self.answer_s + self.change_s)

    @property
    def item_kb(self) -> float:
        """What an epoch holds of an item."""
        return self.record_kb + self.journal_b / 1e3

    def rows(self) -> Iterable[tuple[str, str, str]]:
        """Return the table of them."""
        for name, (words, unit, source) in WORDS.items():
            yield f"{words} (`--{name.replace('_', '-')}`)", f"{getattr(self, name):g} {unit}".strip(), source


def assumed(parser: argparse.ArgumentParser) -> tuple[Assumed, argparse.Namespace]:
    """Let each assumption be an option, and read them."""
    for one in fields(Assumed):
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=float, default=one.default, help=WORDS[one.name][0])
    options = parser.parse_args()
    return Assumed(**{one.name: getattr(options, one.name) for one in fields(Assumed)}), options


def days(per_s: float) -> float:
    """Return the days of 100 million pictures."""
    return PICTURES / per_s / 86_400


def dollars_a_day(per_s: Mapping[str, float], given: Assumed) -> float:
    """Return what the requests of a bucket cost in a day; deletes cost nothing."""
    written = per_s.get("put", 0) + per_s.get("list", 0)
    return (written * given.usd_put + per_s.get("get", 0) * given.usd_get) / 1000 * 86_400


def fleet_rows(given: Assumed, accounts: int, qps: float = 5) -> Iterable[tuple[str, str, str]]:
    """Return what 10 and 40 machines carry, that work for so many accounts."""
    per_s = accounts * qps

    def on_each(words: str, value: float, unit: str) -> tuple[str, str, str]:
        return words, f"{value / 10:,.3g} {unit} on each", f"{value / 40:,.3g} {unit} on each"

    yield on_each("network, down", per_s * given.search_kb / 1e3, "MB/s")
    yield on_each("processors", per_s * given.cpu_ms / 1e3, "cores")
    yield on_each("memory", accounts * given.process_mb / 1e3, "GB")
    whole = f"{per_s * given.syncs:,.0f} a second in all"
    yield "syncs on the shared folder", whole, whole
    lines = f"{PICTURES * given.record_kb / 1e9:.1f} TB, journals {PICTURES * given.journal_b / 1e9:.0f} GB"
    yield "100 M records", lines, lines

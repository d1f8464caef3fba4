"""The members of the scopes that a process looks at: who lives, who is dead, and who is to be declared dead.

Silence is counted on our own clock, from the moment at which an answer first showed the newest entry. While we saw
nothing ourselves, it is not counted: at the end of an outage of the store all would be silent alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from pipeline.leases.store import Entry, body_of, name_of

ROOM = "w"  # of the series that hold the renewals, each below the scope of its incarnation


class Member(NamedTuple):
    """A living incarnation: what it said of itself with its newest renewal.

    hungry     the words of what it could use: a kind of call of an account, for example
    host       the name of its machine
    pid        its process there
    since      the wall time of its machine when it began
    silence_s  the time after which it may be declared dead, by the length of its own lease; 0 where it did not say
    """

    hungry: frozenset[str]
    host: str
    pid: int
    since: float
    silence_s: float = 0.0


@dataclass(slots=True)
class _Seen:
    entry: Entry
    first_at: float  # our clock when an answer first showed this entry as the newest


class Members:
    """The incarnations that answers of the store showed, by their full names, ours among them.

    Times are seconds of our steady clock.

    silence_s  how long an entry must stay the newest until its incarnation may be declared dead; one with a longer
               lease than ours names a longer time
    blind_s    when no answer came for longer than this, nothing of the silence before counts
    """

    def __init__(self, *, silence_s: float, blind_s: float) -> None:
        self._silence_s = silence_s
        self._blind_s = blind_s
        self._seen: dict[str, _Seen] = {}
        self._answered_at = float("-inf")
        self.living: Mapping[str, Member] = MappingProxyType({})
        self.dead: frozenset[str] = frozenset()  # declared dead, or ended in good order: they never come back

    def seen(self, found: Mapping[str, Entry], now: float) -> None:
        """Take in an answer of the store that arrived now. What it does not show stays as it was."""
        if now - self._answered_at > self._blind_s:
            self._count_anew(now)
        self._answered_at = now
        living, dead = dict(self.living), set(self.dead)
        for series, entry in found.items():
            name = series.removeprefix(f"{ROOM}/")
            known = self._seen.get(name)
            if name in dead or (known is not None and entry.number <= known.entry.number):
                continue  # an old answer, or nothing new
            self._seen[name] = _Seen(entry, now)
            living.pop(name, None)
            if ended(entry):
                dead.add(name)
            else:
                living[name] = _member(entry)
        self.living, self.dead = MappingProxyType(living), frozenset(dead)

    def silent(self, now: float) -> dict[str, Entry]:
        """Return the newest entries of those who are to be declared dead."""
        return {name: self._seen[name].entry for name in self.living if now >= self._over_at(name)}

    def silent_from(self) -> float | None:
        """Return when the first of the living is to be declared dead, unless it is heard of; None where nobody is."""
        return min(map(self._over_at, self.living), default=None)

    def _over_at(self, name: str) -> float:
        """Return when an incarnation may be declared dead: later where its lease is longer, as it may send longer."""
        return self._seen[name].first_at + max(self._silence_s, self.living[name].silence_s)

    def died(self, name: str) -> None:
        """Take in a death that we declared ourselves."""
        self.living = MappingProxyType({one: member for one, member in self.living.items() if one != name})
        self.dead |= {name}

    def lives(self, name: str, now: float) -> None:
        """Begin to count anew: the death could not be put, so there is a renewal that we have not seen."""
        self._seen[name].first_at = now

    def _count_anew(self, now: float) -> None:
        for seen in self._seen.values():
            seen.first_at = now


def scope_of(name: str) -> str:
    """Return the scope in a full name of an incarnation, `scope/incarnation`; "" where it names none."""
    scope, _, rest = name.partition("/")
    return scope if rest and name_of(scope) == scope else ""


def ended(entry: Entry) -> bool:
    """Return whether an entry says that its incarnation is dead, or ended in good order."""
    body = body_of(entry.value)
    return "dead" in body or "bye" in body


def _member(entry: Entry) -> Member:
    body = body_of(entry.value)
    hungry, host, pid, since, silence_s = (body.get(key) for key in ("hungry", "host", "pid", "since", "silence_s"))
    return Member(
        frozenset(map(str, hungry)) if isinstance(hungry, list) else frozenset(),
        str(host or ""),
        pid if isinstance(pid, int) else 0,
        float(since) if isinstance(since, int | float) else 0.0,
        float(silence_s) if isinstance(silence_s, int | float) else 0.0,
    )

"""Faults of a sandbox: which call goes wrong and how, by its number or at random from a seed.

The text form, as on the command line: `create:lost=0.01,search:67200002=0.02,*:http_502=0.005,create:hang.before@3`.
`=0.01` is a probability per call, `@3` the third call of that endpoint, `@3-5` the third to the fifth. A kind is

    an error code         a business error in an HTTP 200 envelope
    http_<status>         an HTML page as a gateway sends it; 201 to 203 carry the right answer
    http_<status>_<code>  an error code in its envelope, with another status than 200: `http_429_67200002`
    hang                  no answer at all, the connection stays open
    reset, lost           the connection is reset instead of an answer; `lost` is `reset.after`
    garbage               an HTTP 200 whose body is not JSON
    bomb                  a small gzip body that unpacks to `bomb_bytes`
    redirect              a 307 to /redirected/...
    truncated, slow, late the right answer: cut in the middle, in drips over `drip_s`, after `late_s`
    no_data               status:true without data
    another               the answer to another question: it names another task or search, or other patents
    no_hits, null_hits, absent_hits, empty_hits
                          nothing found: `"data":{}`, a null list, no list, an empty list
    lost_hits             an empty list with a total above 0
    blank_task_id, same_task_id
                          a task id of blanks; the same task id for all

`.after` means the call was executed first, `.before` that it was not: `create:67200000.after` is a task that was
created and denied.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from pipeline.sandbox.shapes import SHAPES

ENDPOINTS = ("token", "upload", "search", "create", "query", "details", "statement")

# Kinds of faults, and whether the call is executed first when the text does not say so.
_EXECUTES = {
    "hang": True,
    "reset": False,
    "garbage": True,
    "bomb": True,
    "redirect": False,
    "truncated": True,
    "slow": True,
    "late": True,
    "no_data": True,
    "another": True,
    **dict.fromkeys(SHAPES, True),
}
# Kinds that distort the answer itself: there is one only when the call was executed.
_NEEDS_ANSWER = frozenset({"truncated", "slow", "late", "no_data", "another", *SHAPES})
_CODE = re.compile(r"[1-9][0-9]{4,9}")
_PAGE = re.compile(r"http_[45][0-9]{2}")
_RIGHT_ANSWER = re.compile(r"http_20[123]")
_CODE_AT_STATUS = re.compile(rf"http_(20[0123]|[45][0-9]{{2}})_{_CODE.pattern}")
_ENTRY = re.compile(
    r"(?P<endpoint>[a-z*]+):(?P<fault>[a-z0-9_.]+)"
    r"(?:=(?P<rate>[0-9.eE+-]+)|@(?P<first>[0-9]{1,9})(?:-(?P<last>[0-9]{1,9}))?)"
)


class Fault(NamedTuple):
    """One way to go wrong.

    kind: as in the list above, `lost` and the endings `.before` and `.after` left out
    executed: the call takes effect, though its client is not told so
    """

    kind: str
    executed: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one fault, such as `lost`, `http_502.after` or `67200100`. Raises ValueError that says what is wrong."""
        if text == "lost":
            return cls("reset", True)
        kind, dot, when = text.partition(".")
        if not _is_known(kind):
            raise ValueError(
                f"unknown fault {kind!r}; known: an error code, http_<status>, http_<status>_<code>, lost, "
                f"{', '.join(_EXECUTES)}"
            )
        if not dot:
            return cls(kind, _executes(kind))
        if when not in ("before", "after"):
            raise ValueError(f"{text!r}: after the dot stands 'before' or 'after'")
        if when == "before" and (kind in _NEEDS_ANSWER or _RIGHT_ANSWER.fullmatch(kind)):
            raise ValueError(f"{text!r}: {kind} distorts an answer, so the call is always executed")
        return cls(kind, when == "after")

    def __str__(self) -> str:
        if _executes(self.kind) == self.executed:
            return self.kind
        return f"{self.kind}.{'after' if self.executed else 'before'}"


class FaultRule(NamedTuple):
    """A fault, and the calls it happens to.

    endpoint: one of `ENDPOINTS`, or `*` for all
    rate: probability for each call, 0 to 1
    first, last: the calls of that endpoint, counted from 1, both included; 0 when the rate decides
    """

    endpoint: str
    fault: Fault
    rate: float = 0.0
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """All faults of one sandbox.

    seed: the same seed gives the same fault to the same call of an endpoint
    late_s: delay of `late`; longer than the vendor's maximum of 10 s, shorter than a client waits for a create
    drip_s: time that `slow` takes for a whole answer
    bomb_bytes: size of `bomb`, unpacked
    """

    rules: tuple[FaultRule, ...] = ()
    seed: int = 0
    late_s: float = 12.0
    drip_s: float = 5.0
    bomb_bytes: int = 256 * 2**20

    @classmethod
    def parse(cls, text: str, *, seed: int = 0) -> Self:
        """Read the text form. Raises ValueError with one line about the first mistake."""
        rules = tuple(_rule(entry.strip()) for entry in text.split(",") if entry.strip())
        for endpoint in ENDPOINTS:
            if sum(rule.rate for rule in rules if rule.endpoint in (endpoint, "*")) > 1:
                raise ValueError(f"the probabilities of {endpoint} add up to more than 1")
        return cls(rules=rules, seed=seed)

    @classmethod
    def scripted(cls, scripts: Mapping[str, Sequence[str]]) -> Self:
        """Give the nth call of an endpoint the nth fault of its list; `ok` or an empty text is no fault."""
        _check_endpoints(scripts)
        return cls(
            rules=tuple(
                FaultRule(endpoint, Fault.parse(text), first=number, last=number)
                for endpoint, script in scripts.items()
                for number, text in enumerate(script, start=1)
                if text not in ("", "ok")
            )
        )


class FaultDice:
    """The decision, call by call, whether and how it goes wrong. Each sandbox has one."""

    def __init__(self, plan: FaultPlan) -> None:
        self._rules = {name: [r for r in plan.rules if r.endpoint in (name, "*")] for name in ENDPOINTS}
        self._calls = dict.fromkeys(ENDPOINTS, 0)
        # One generator for each endpoint: the order in which calls of different endpoints come must not change a draw.
        self._random = {name: random.Random(f"{plan.seed}:{name}") for name in ENDPOINTS}

    def next(self, endpoint: str) -> Fault | None:
        """Return the fault of the endpoint's next call, or None. A fault by number wins over a random one."""
        rules = self._rules[endpoint]
        if not rules:
            return None
        self._calls[endpoint] += 1
        number = self._calls[endpoint]
        draw = self._random[endpoint].random()
        for rule in rules:
            if rule.first <= number <= rule.last:
                return rule.fault
        for rule in rules:
            if draw < rule.rate:
                return rule.fault
            draw -= rule.rate
        return None


def _rule(entry: str) -> FaultRule:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise ValueError(f"fault {entry!r}: write it as endpoint:kind=probability or endpoint:kind@number")
    endpoint = match["endpoint"]
    if endpoint != "*":
        _check_endpoints([endpoint])
    fault = Fault.parse(match["fault"])
    if match["rate"] is not None:
        rule = f"fault {entry!r}: a probability lies between 0 and 1"
        return FaultRule(endpoint, fault, rate=read_share(match["rate"], rule))
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if not 1 <= first <= last:
        raise ValueError(f"fault {entry!r}: calls count from 1, and a range goes upwards")
    return FaultRule(endpoint, fault, first=first, last=last)


def read_share(text: str, rule: str) -> float:
    """Read a number from 0 to 1. Raises ValueError with the rule."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(rule)
    return share


def _check_endpoints(names: Sequence[str] | Mapping[str, object]) -> None:
    for name in names:
        if name not in ENDPOINTS:
            raise ValueError(f"unknown endpoint {name!r}; known: {', '.join(ENDPOINTS)}, *")


def _is_known(kind: str) -> bool:
    patterns = (_CODE, _PAGE, _RIGHT_ANSWER, _CODE_AT_STATUS)
    return kind in _EXECUTES or any(pattern.fullmatch(kind) for pattern in patterns)


def _executes(kind: str) -> bool:
    """Return whether a call is executed first when the text does not say so."""
    return _EXECUTES.get(kind, _RIGHT_ANSWER.fullmatch(kind) is not None)

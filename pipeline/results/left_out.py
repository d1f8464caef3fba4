"""The things that a run did not look at, as its records say it: what was asked for each item and what came of it."""

from collections.abc import Mapping, Sequence

from pipeline.endpoints.patsnap.endpoints import left_out_by
from pipeline.endpoints.patsnap.similar_designs import beyond_limit
from pipeline.results.survey import DEPTH, Survey
from pipeline.system.structs import decode
from pipeline.system.wording import count, listed


def left_out(settled: Survey, open_: Survey, items: Mapping[str, int], *, changed: Sequence[str] = ()) -> list[str]:
    """List what was left out of sight, one phrase each; a phrase that is not true of all items says of how many.

    `changed` names pictures that were replaced after their search.
    """
    total = 0
    phrases: dict[str, int] = {}
    truncated: dict[str, int] = {}
    for found in (settled, open_):
        for (endpoint, encoded), asked in found.asked.items():
            params = decode(encoded, dict)
            total += asked.items
            for phrase in left_out_by(endpoint, params):
                phrases[phrase] = phrases.get(phrase, 0) + asked.items
            if asked.truncated and (phrase := beyond_limit(params, depth=params.get(DEPTH, 0))):
                truncated[phrase] = truncated.get(phrase, 0) + asked.truncated
    said = [phrase if number == total else f"{phrase} ({_of(number, total)})" for phrase, number in phrases.items()]
    said += [f"{phrase} ({_of(more, total)} {_have(more)} more)" for phrase, more in truncated.items()]
    if changed:
        words = ("picture that changed since it was searched", "pictures that changed since they were searched")
        said.append(f"{count(len(changed), *words)}: {listed(changed)} (`pipeline status` says what to do)")
    return [*said, *_of_items(settled, open_, items)]


def _of(number: int, total: int) -> str:
    return f"{number:,} of {count(total, 'searched item')}"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _of_items(settled: Survey, open_: Survey, items: Mapping[str, int]) -> list[str]:
    """List the items that did not come to their end, and the hits that went into no task."""
    said = []
    if settled.left_out:
        hits = count(settled.left_out, "hit that is in no task", "hits that are in no task")
        said.append(f"{hits} (of {count(settled.left_out_of, 'item')}: below the asked score, incomplete, or too many)")
    if open_.not_searched:
        said.append(count(open_.not_searched, "open item that was not searched", "open items that were not searched"))
    if open_.unread:
        words = ("task that is paid and whose report is not in", "tasks that are paid and whose reports are not in")
        said.append(count(open_.unread, *words))
    if searched := open_.taken - open_.not_searched - open_.unread:
        words = ("searched item that is open without a known task", "searched items that are open without a known task")
        said.append(count(searched, *words))
    if waiting := items.get("not_started", 0):
        said.append(count(waiting, "item that was not started", "items that were not started"))
    return said

"""The names of P009 V2's searches: a page may be asked for by one instead of by the picture, for a while."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable

from pipeline.sandbox.envelope import INVALID_PARAMETER, Refused

LIFE_S = 20 * 60
_KEPT = 100_000


class SearchNames:
    """Names that live as long as the vendor says, and no longer than the process: a client must do without them."""

    def __init__(self, *, clock: Callable[[], float], life_s: float = LIFE_S) -> None:
        self._clock = clock
        self._life_s = life_s
        self._pictures: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def name(self, url: str) -> str:
        """Name a search of the picture at a URL."""
        name = f"{secrets.token_hex(16).upper()}-1-D"
        self._pictures[name] = url, self._clock()
        if len(self._pictures) > _KEPT:
            self._pictures.popitem(last=False)
        return name

    def resolved(self, query: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Put the picture into a query in the place of the name. Raises Refused for a name that is old or unknown."""
        pairs = list(query)
        named = [value for key, value in pairs if key == "search_id"]
        if len(named) != 1:
            raise Refused(INVALID_PARAMETER, "search_id is missing" if not named else "search_id is given twice")
        if any(key == "url" for key, _ in pairs):
            raise Refused(INVALID_PARAMETER, "unknown parameter url beside a search_id")
        url, at = self._pictures.get(named[0], ("", float("-inf")))
        if self._clock() - at > self._life_s:
            raise Refused(INVALID_PARAMETER, "search_id is unknown or older than 20 minutes")
        return [("url", url), *((key, value) for key, value in pairs if key != "search_id")]

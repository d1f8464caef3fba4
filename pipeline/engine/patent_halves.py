"""The one bad id of a call that the vendor refuses: its patents are asked for in halves until that one is alone.

A refused call brings nothing, so without this one id would cost a hundred patents their details. Each half is a call
like any other: counted, paced and within the budget. Once a bad id is found, the rest is asked for as a whole again.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from pipeline.endpoints.details import FAILED, REFUSED
from pipeline.engine.patent_batches import Answered, Tell
from pipeline.errors import ItemRefused

MOST_QUESTIONS = 20  # after a refused call of up to a hundred patents; one bad id takes nine at most


class _Ended(Exception):
    """The end of all questions; what was not answered is missing for this reason."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


async def without_refused(
    ids: Sequence[str], ask: Callable[[Sequence[str]], Awaitable[Answered]], tell: Tell
) -> tuple[bool, Mapping[str, str]]:
    """Read those of some refused patents that can be read; `ask` raises ItemRefused where a call is refused again.

    Each call that is answered is told at once, for it is paid. Return whether there was one, and why others are
    missing: refused where they were alone, failed once there were MOST_QUESTIONS.
    """
    search = _Search(ask, tell)
    try:
        await search.all_of(ids)
        why = FAILED
    except _Ended as ended:
        why = ended.why
    left = [id_ for id_ in ids if id_ not in search.read]
    return bool(search.read), {**dict.fromkeys(left, why), **search.missing}


class _Search:
    """The questions that follow a refused call."""

    def __init__(self, ask: Callable[[Sequence[str]], Awaitable[Answered]], tell: Tell) -> None:
        self.read: set[str] = set()
        self.missing: dict[str, str] = {}
        self._ask = ask
        self._tell = tell
        self._questions = 0

    async def all_of(self, refused: Sequence[str]) -> None:
        """Ask for all of these, which were refused together."""
        rest = await self._find_one(refused)
        while rest and not await self._is_read(rest):
            rest = await self._find_one(rest)

    async def _find_one(self, refused: Sequence[str]) -> list[str]:
        """Ask for halves until a bad id is alone; return the patents that no call was about since."""
        rest: list[str] = []
        is_proven = True  # this very set was refused; of a half it is only to be expected, where the other was not
        while len(refused) > 1:
            middle = len(refused) // 2
            first, second = refused[:middle], refused[middle:]
            is_proven = not await self._is_read(first)
            if is_proven:
                rest = [*second, *rest]
            refused = first if is_proven else second
        if is_proven or not await self._is_read(refused):
            self.missing |= dict.fromkeys(refused, REFUSED)
        return rest

    async def _is_read(self, some: Sequence[str]) -> bool:
        """Ask for some patents; return False where the vendor refuses. Raises _Ended."""
        if self._questions == MOST_QUESTIONS:
            raise _Ended(FAILED)
        self._questions += 1
        try:
            asked = await self._ask(some)
        except ItemRefused:
            return False
        await self._tell(Answered(asked.answers, {}))
        self.read |= asked.answers.keys()
        self.missing |= asked.missing
        if asked.missing:  # the run ends, or asks for no more
            raise _Ended(next(iter(asked.missing.values())))
        return True

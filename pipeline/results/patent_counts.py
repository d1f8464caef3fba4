"""Counts of patents whose details were asked for, over the life of a run directory, as its journal remembers them."""

import msgspec

from pipeline.system.structs import decode

META = "details"  # in the journal's meta: the counts, as JSON
ASKED = "details_asked"  # in the journal's meta: what a job asked details of, once every record has them
WAITING = "details_pending"  # in the journal's meta: "1" while a record may say that its details are pending


class PatentCounts(msgspec.Struct):
    """Counts over the life of a run directory. Not frozen: they count up.

    calls       that were sent
    asked       patents in them; one in a call that was sent twice counts twice
    found       patents that the vendor had, which it bills each
    from_cache  patents that were known already
    """

    calls: int = 0
    asked: int = 0
    found: int = 0
    from_cache: int = 0


def counts_in(meta: str | None) -> PatentCounts:
    """Read the counts that a journal remembers; none where it remembers nothing that can be read."""
    try:
        return decode(meta, PatentCounts) if meta else PatentCounts()
    except (msgspec.MsgspecError, UnicodeError):  # a repair may have kept half of it; budgets are kept elsewhere
        return PatentCounts()

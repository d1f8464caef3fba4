"""Our counts of calls beside those of a statement of account, and what explains that they differ."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from pipeline.endpoints.patsnap.billed import PER_PATENT, name_of_path
from pipeline.endpoints.patsnap.statement import Used
from pipeline.journal.sql.sent_calls import Sent
from pipeline.models import Kind
from pipeline.system.wording import count


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint on one day."""

    endpoint: str  # the vendor's name
    path: str
    sent: int  # by us, retries included
    granted: int  # of them, answered as asked
    refused: int  # answered with a code that says that nothing was executed
    unclear: int  # neither: the vendor may have executed them
    vendor_calls: int  # that the vendor counts
    vendor_billed: int | None  # of them; None where it counts them in a package
    charged: Decimal  # by the vendor, in its currency
    difference: int  # what the vendor counts beyond what it granted; below 0 is in our favour
    explained: bool  # whether our counts explain it
    said: str  # one phrase


def compare(
    sent: Sequence[Sent], used: Sequence[Used], *, doubts: int, not_noted: Counter[str], closed: bool
) -> list[Line]:
    """Set the calls of one day beside its statement, by endpoint; `doubts` are its creates in doubt.

    `not_noted` are calls by kind that may have been sent on any day.
    """
    ours: dict[str, Counter[str]] = {}
    kinds: dict[str, str] = {}
    for row in sent:
        ours.setdefault(row.path, Counter()).update(sent=row.sent, granted=row.granted, refused=row.refused)
        kinds[row.path] = row.kind
    theirs = {one.path: one for one in used}
    lines = []
    for path in sorted({*ours, *theirs}, key=lambda path: (path not in ours, name_of_path(path))):
        kind = kinds.get(path, "")
        in_doubt = doubts if kind == Kind.CREATE else 0
        vendor = theirs.get(path, Used(path, name_of_path(path), 0, 0, Decimal(0)))
        lines.append(_line(ours.get(path, Counter()), vendor, in_doubt, not_noted[kind], closed=closed))
    return lines


def _line(ours: Counter[str], vendor: Used, in_doubt: int, not_noted: int, *, closed: bool) -> Line:
    sent, granted, refused = ours["sent"], ours["granted"], ours["refused"]
    unclear = sent - granted - refused
    if vendor.billed is None or vendor.name in PER_PATENT:
        difference, most = vendor.calls - granted, unclear + refused  # nobody says whether these count refused calls
    else:
        difference, most = vendor.billed - granted, unclear
    explained = 0 <= difference <= most + not_noted
    if not closed:
        said = "the day is not closed: the vendor still counts"
    elif difference == 0:
        said = "agrees"
    elif difference < 0:
        said = f"{-difference:,} fewer than were granted"
    elif not sent:
        said = "not called from this machine, as far as is known here"
    else:
        said = _more(difference, most, in_doubt, not_noted, explained=explained)
    return Line(
        endpoint=vendor.name,
        path=vendor.path,
        sent=sent,
        granted=granted,
        refused=refused,
        unclear=unclear,
        vendor_calls=vendor.calls,
        vendor_billed=vendor.billed,
        charged=vendor.money,
        difference=difference,
        explained=explained,
        said=said,
    )


def _more(difference: int, unclear: int, in_doubt: int, not_noted: int, *, explained: bool) -> str:
    """Say what explains that the vendor counts more, as far as anything does."""
    reasons = []
    if unclear:
        doubts = f", {in_doubt:,} of them in doubt" if in_doubt else ""
        reasons.append(f"{count(unclear, 'call')} may have been executed{doubts}")
    if not_noted:
        reasons.append(f"up to {not_noted:,} more were sent when a process was killed, or by an earlier version")
    if not explained:
        reasons.append("the rest came from another machine, or the vendor is to be asked about it")
    return f"{difference:,} more: {'; '.join(reasons)}"

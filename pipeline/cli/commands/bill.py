"""The command `pipeline bill`."""

from pathlib import Path

from pipeline.cli.screen import show_json, show_lines
from pipeline.results.comparison import Line
from pipeline.run.bill import Bill, make_bills
from pipeline.system.language import named, translated
from pipeline.system.widths import padded, width
from pipeline.system.wording import count

_HEAD = ("endpoint", "sent", "granted", "refused", "unclear", "vendor", "billed", "charged", "")


def bill_command(path: Path, *, as_json: bool) -> int:
    """Print the vendor's statement beside our counts; return 1 where they do not explain a closed day."""
    bills = make_bills(path)
    if as_json:
        show_json(bills[0] if len(bills) == 1 else bills)
    else:
        for bill in bills:
            _show_bill(bill)
    return max(bill.exit_code for bill in bills)


def _show_bill(bill: Bill) -> None:
    whose = f"account {bill.account}" if bill.account else "this account"
    show_lines([f"{bill.vendor}: {count(len(bill.runs), 'run directory', 'run directories')} of {whose} known here"])
    for day in bill.days:
        open_ = "" if day.closed else f", not closed before {day.complete_at}"
        show_lines(["", f"{day.day} (a day of the vendor{open_})"])
        rows = [tuple(map(named, _HEAD)), *(_cells(line) for line in day.lines)]
        widths = [max(width(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
        show_lines(_row(row, widths) for row in rows)
    if bill.not_noted:
        calls = ", ".join(f"{number:,} {kind}" for kind, number in bill.not_noted.items())
        show_lines(["", f"Up to {calls} calls may be missing in our counts: a process was killed, or they are older."])
    show_lines(f"could not be read, and is not in our counts: {text}" for text in bill.not_read)
    closed = [day for day in bill.days if day.closed]
    ending = "agrees, or is explained" if bill.agrees else "differs by more than is explained"
    show_lines(["", f"Of {count(len(closed), 'closed day')}: what the vendor counts {ending}." if closed else _NONE])


_NONE = "No day is closed yet: ask again when it is."


def _cells(line: Line) -> tuple[str, ...]:
    billed = translated("in a package") if line.vendor_billed is None else f"{line.vendor_billed:,}"
    ours = (line.sent, line.granted, line.refused, line.unclear, line.vendor_calls)
    return (line.endpoint, *(f"{number:,}" for number in ours), billed, f"{line.charged:,f}", translated(line.said))


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *numbers = (
        padded(cell, wide) if column == 0 else " " * (wide - width(cell)) + cell
        for column, (cell, wide) in enumerate(zip(cells, widths, strict=False))
    )
    return "  ".join([first, *numbers, cells[-1]]).rstrip()

"""The runs that lie beside one another under output.dir, as their summaries tell of them."""

from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import SpecError
from pipeline.journal.places import SUMMARY
from pipeline.system.fault import Fault
from pipeline.system.wording import count

LAST, NONE = "last", "none"


class Similar(msgspec.Struct, frozen=True, kw_only=True):
    """Products of a run with a hit that scores `at_least` so much, and those of them with a new or risen one."""

    at_least: float
    products: int
    new: int | None = None  # since the earlier run; None where there was none
    since: str = ""  # the name of that run

    def __str__(self) -> str:
        having = count(self.products, "product has", "products have")
        new = "" if self.new is None else f", {self.new:,} of them a new or risen one since {self.since}"
        return f"{having} a hit at or above {self.at_least:g}{new}"


class KnownRun(msgspec.Struct, frozen=True):
    """A run directory by its summary; fields that an older version did not write are empty."""

    job: str
    run: str
    started_at: str  # ISO 8601 in UTC
    finished_at: str = ""
    vendor: str = ""
    rehearsal: bool = False
    state: str = ""
    exit_code: int = 0
    exit_reason: str = ""
    items: dict[str, int] = {}
    calls: dict[str, dict[str, Any]] = {}
    money: dict[str, Any] | None = None
    similar: Similar | None = None
    folder: Path = Path()


_KNOWN = msgspec.json.Decoder(KnownRun)


def runs_in(folder: Path) -> list[KnownRun]:
    """Read the runs in a folder, the newest first; a directory without a readable summary is passed over."""
    found = [known for summary in folder.glob(f"*/{SUMMARY}") if (known := _known(summary.parent)) is not None]
    return sorted(found, key=lambda one: (one.started_at, one.run), reverse=True)


def earlier_run(folder: Path, since: str) -> Path:
    """Find the run that `folder` is compared with; see `run_before`. Raises SpecError where there is none."""
    return run_of_name(folder, since).folder


def run_of_name(folder: Path, since: str) -> KnownRun:
    """Return the run that `folder` is compared with, by what its summary says. Raises SpecError where there is none."""
    here = next((one for one in runs_in(folder.parent) if one.run == folder.name), None)
    if since == LAST and here is None:
        raise SpecError(Fault("this run has no summary.json yet, so nothing is earlier", where=str(folder)))
    return run_before(folder, since, here)


def run_before(folder: Path, since: str, here: KnownRun | None) -> KnownRun:
    """Find the run that `folder` is compared with: `last` is the newest earlier one of the same job and vendor.

    One that settled nothing is passed over. Any other word is a run directory, by its path or by its name beside
    `folder`. Raises SpecError where there is none; `here` is what is known of the run itself.
    """
    if since != LAST or here is None:
        return _named(folder, since)
    for one in runs_in(folder.parent):
        alike = (one.job, one.vendor, one.rehearsal) == (here.job, here.vendor, here.rehearsal)
        if alike and one.run != folder.name and one.started_at < here.started_at and one.items.get("settled") != 0:
            return one
    what = (
        f"there is no earlier run of {here.job} beside this one to compare with; a job that is run again and again has "
        "a run directory for each time"
    )
    raise SpecError(Fault(what, where=str(folder), fix='output: {run: "{name}-{month}"}'))


def _named(folder: Path, name: str) -> KnownRun:
    for path in (folder.parent / name, Path(name)):
        known = _known(path) if name else None
        if known is None:
            continue
        if path.resolve() == folder.resolve():
            raise SpecError(Fault("this is the run itself; name an earlier one", where=f"--since {name}"))
        return known
    what = f"no run to compare with: there is no run directory of that name in {folder.parent}, or at that path"
    raise SpecError(Fault(what, where=f"--since {name}", fix="--since last"))


def _known(folder: Path) -> KnownRun | None:
    """Read what the summary of a run says; None without one that can be read."""
    try:
        known = _KNOWN.decode((folder / SUMMARY).read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return msgspec.structs.replace(known, run=folder.name, folder=folder)

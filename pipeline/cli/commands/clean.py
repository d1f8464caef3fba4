"""The command `pipeline clean`."""

import re
import time
from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.screen import show_lines, show_rows
from pipeline.errors import SpecError
from pipeline.offline.clean import DAY_S, Found, Wanted, find, is_run, is_split, remove, sweep_removed
from pipeline.run.cluster_runs import shared_folder
from pipeline.run.load import load_spec
from pipeline.system.clock import iso
from pipeline.system.fault import Fault, typed
from pipeline.system.wording import count

_UNITS_S = {"h": 3600.0, "d": DAY_S, "w": 7 * DAY_S}


def clean_command(path: Path, *, older: str, client: str | None, pictures: bool, yes: bool) -> int:
    """Show what would be removed, and with `yes` remove it; return the exit code."""
    wanted = Wanted(_seconds(older), client, pictures)
    runs = _runs_in(path)
    now = time.time()
    if yes:
        sweep_removed(runs)
    found = find(runs, wanted, now=now)
    goes = [one for one in found if not one.kept]
    show_rows([_row(one, one.kept) for one in found])
    if not goes:
        show_lines([f"nothing to remove in {runs}: no run that is older than {older} may go"])
        return 0
    if not yes:
        again = "" if pictures else "; a job whose run is removed begins anew, and pays for its pictures again"
        show_lines([f"{_total(goes, wanted)} would be removed; nothing was. With --yes it is{again}"])
        return 0
    return _remove(goes, wanted, now=now)


def _total(found: list[Found], wanted: Wanted) -> str:
    what = "of pictures and pages in" if wanted.pictures else "in"
    return f"{_size(sum(one.size for one in found))} {what} {count(len(found), 'run', 'runs')}"


def _remove(goes: list[Found], wanted: Wanted, *, now: float) -> int:
    gone, stayed = [], []
    for one in goes:
        try:
            if why := remove(one, wanted, now=now, say=say):
                stayed.append(f"{one.folder} stays: {why}")
            else:
                gone.append(one)
        except OSError as exc:
            stayed.append(f"{one.folder} could not be removed whole: {exc.strerror or exc}")
    for line in stayed:
        say(line)
    show_lines([f"removed: {_total(gone, wanted)}"])
    return 1 if stayed else 0


def _row(one: Found, kept: str) -> tuple[str, str]:
    return one.folder.name, f"{_size(one.size)}, last used {iso(one.used_at)[:10]}" + (
        f"; stays: {kept}" if kept else ""
    )


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _seconds(older: str) -> float:
    match = re.fullmatch(r"([0-9]{1,5})([hdw])", older)
    if match is None:
        raise SpecError(
            Fault(f"'{older}' is no age; write days, such as 180d, or 26w", where="--older", fix="--older 180d")
        )
    return int(match[1]) * _UNITS_S[match[2]]


def _runs_in(path: Path) -> Path:
    """Return the folder with run directories that a path names, itself or by a job file.

    That of a job of many machines is the one they share.
    """
    if path.is_file():
        spec = load_spec(path)
        path = spec.place(spec.output.dir) if spec.cluster is None else shared_folder(spec)
    if not path.is_dir():
        raise SpecError(Fault("no folder with run directories", where=str(path)))
    if is_run(path) or is_split(path):
        what = "this is a run directory itself; name the folder that it lies in, or its job file"
        raise SpecError(Fault(what, where=str(path), fix=typed("clean", path.absolute().parent)))
    return path

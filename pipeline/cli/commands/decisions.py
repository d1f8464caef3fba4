"""The command `pipeline decisions`."""

import getpass
from datetime import datetime
from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.screen import show_lines
from pipeline.cluster.directories import directories
from pipeline.errors import SpecError
from pipeline.offline.decision_files import standing, take_over
from pipeline.offline.opening import find_run
from pipeline.results.decisions import DECISIONS, read_decisions
from pipeline.run.directory import run_folder
from pipeline.run.load import folder_of, load_spec
from pipeline.system.fault import Fault


def decisions_command(path: Path, files: list[Path], *, by: str | None) -> int:
    """Take the decisions of files over into decisions.csv beside the job; print what changed, or what stands."""
    folder, kept = _places(path)
    if not files:
        show_lines([f"{kept}: {standing(read_decisions(kept))}"])
        return 0
    taken = take_over(kept, files, folder=folder, by=_person() if by is None else by)
    show_lines([f"{taken.file}: {taken.said}"])
    for remark in taken.remarks:
        say(remark)
    return 0


def _places(path: Path) -> tuple[Path | None, Path]:
    """Return the run directory, if there is one, and where the decisions about it are kept."""
    if path.is_file():
        spec = load_spec(path)
        folder = run_folder(spec, now=datetime.now().astimezone())
        return (folder if folder.is_dir() else None), spec.folder / DECISIONS
    folder = folder_of(path)
    spec = next(directories(folder).each(find_run)).spec
    if spec.folder.resolve() == folder.resolve():
        what = "it does not say where its job file lies, beside which decisions are kept; name the job file instead"
        raise SpecError(Fault(what, where=str(path)))
    return folder, spec.folder / DECISIONS


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as containers have
        return ""

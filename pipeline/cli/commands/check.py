"""The command `pipeline check`."""

from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.looking import counting_pictures
from pipeline.cli.screen import show_lines
from pipeline.errors import SpecError
from pipeline.job.outlook import warnings
from pipeline.job.schema import JobSpec
from pipeline.run.directory import base_of
from pipeline.run.listed import list_at_hand
from pipeline.run.load import load_spec
from pipeline.sources.check import check_sources, find_faulty_items
from pipeline.sources.foreign import refuse_foreign
from pipeline.sources.inspection import MadeFit
from pipeline.sources.remarks import SourceRemarks
from pipeline.system.fault import Fault, typed

SHOWN_FAULTS = 20


def check_command(path: Path, overrides: list[str], *, quick: bool = False) -> int:
    """Check a job file, its sources and, unless it is to be quick, every local picture. Raises SpecError."""
    with list_at_hand(load_spec(path, overrides=overrides), anew=typed("run", path, "--new")) as spec:
        _check(path, spec, quick=quick)
    return 0


def _check(path: Path, spec: JobSpec, *, quick: bool) -> None:
    base_of(spec)  # refuses a place in which no run directory can be
    check_sources(spec)
    remarks, made_fit = SourceRemarks(spec), MadeFit(spec)
    with counting_pictures() as watch:
        faults = find_faulty_items(
            spec, most=SHOWN_FAULTS, quick=quick, watch=watch, note=remarks.note, made_fit=made_fit
        )
    if faults:
        for text in made_fit.texts():
            say(f"note: {text}")
        raise SpecError(*(fault.at(str(path)) if isinstance(fault, Fault) else fault for fault in faults))
    if foreign := refuse_foreign(spec, path):
        raise SpecError(foreign)
    notes = [*warnings(spec), *remarks.texts(), *made_fit.texts()]
    show_lines([*(f"note: {text}" for text in notes), f"{path}: no faults found"])

"""`check`."""

from pathlib import Path

from pipeline.cli.screen import show_lines
from pipeline.errors import SpecError
from pipeline.job.outlook import warnings
from pipeline.run.load import load_spec
from pipeline.sources.check import check_sources, find_faulty_items
from pipeline.sources.foreign import refuse_foreign

SHOWN_FAULTS = 20


def check_command(path: Path, overrides: list[str]) -> int:
    """Check a job file and its sources. Raises SpecError that names every fault."""
    spec = load_spec(path, overrides=overrides)
    check_sources(spec)
    if faults := find_faulty_items(spec, most=SHOWN_FAULTS):
        raise SpecError(*(f"{path}: {fault}" for fault in faults))
    if foreign := refuse_foreign(spec, path):
        raise SpecError(foreign)
    show_lines([*(f"note: {text}" for text in warnings(spec)), f"{path}: no faults found"])
    return 0

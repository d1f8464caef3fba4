"""The command `pipeline cluster down`."""

import time
from pathlib import Path

from pipeline.cli.screen import show_lines
from pipeline.cluster.layout import WORKERS
from pipeline.cluster.machines import workers_in
from pipeline.cluster.telling import DOWN
from pipeline.errors import SpecError
from pipeline.run.load import load_spec, run_of_job
from pipeline.system.fault import Fault
from pipeline.system.wording import listed


def cluster_down_command(path: Path, overrides: list[str], *, name: str) -> int:
    """Ask a worker to end: it begins no more items, its paid searches become tasks, and others take its shards."""
    folder = run_of_job(path, load_spec(path, overrides=overrides))
    there = [one.name for one in workers_in(folder) if one.is_there(now=time.time())]
    if name not in there:
        what = f"no worker of this name is at work; there are {listed(there)}" if there else "no worker is at work"
        raise SpecError(Fault(what, where=str(folder / WORKERS / name)))
    (folder / WORKERS / name / DOWN).touch(mode=0o600)
    show_lines([f"{name} was asked to end; it gives back its shard and its calls per second within its drain time."])
    return 0

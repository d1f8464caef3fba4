"""The command `pipeline split`."""

from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.looking import counting_pictures
from pipeline.cli.screen import show_json, show_lines, show_rows
from pipeline.cluster.preparing import prepared
from pipeline.cluster.split import split_job
from pipeline.job.schema import JobSpec
from pipeline.run.load import load_spec
from pipeline.sources.check import check_sources
from pipeline.system.fault import typed
from pipeline.system.mounts import network_file_system
from pipeline.system.wording import count


def split_command(path: Path, overrides: list[str], *, new: bool, prepare: bool, ray: str | None, as_json: bool) -> int:
    """Split a job, or say how it was split; with `prepare` its local pictures are read by all cores first."""
    spec = load_spec(path, overrides=overrides)
    if prepare:
        _prepare(spec, ray)
    folder, split = split_job(spec, new=new, upgrade=True)
    if as_json:
        show_json({"folder": str(folder), "shards": split.shards, "items": split.items, "counts": split.counts})
        return 0
    if network_file_system(folder) is None:
        say(f"note: {folder.parent} is on a disk of this machine, which no other machine sees")
    rows = [("items", f"{split.items:,}"), ("shards", f"{split.shards:,}")]
    if split.clashes:
        rows.append(("items whose id another one has (they become failed items)", f"{split.clashes:,}"))
    show_rows([*rows, ("run", str(folder))])
    show_lines([f"Next: {typed('work', path)} on each machine, or {typed('cluster', 'run', path, '--local', 2)} here"])
    return 0


def _prepare(spec: JobSpec, ray: str | None) -> None:
    check_sources(spec)
    with counting_pictures() as watch:
        made = prepared(spec, ray=ray, watch=watch)
    said = f"{count(made.pictures, 'local picture')} looked at, {made.read:,} of them now"
    say(f"note: {said}; {made.unreadable:,} cannot be read" if made.unreadable else f"note: {said}")

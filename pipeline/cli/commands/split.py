"""The command `pipeline split`."""

from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.first_pass import look_over_pictures
from pipeline.cli.screen import show_json, show_lines, show_rows
from pipeline.cluster.preparing import needs_first_pass
from pipeline.cluster.split import split_job
from pipeline.run.load import load_spec
from pipeline.system.fault import settings, typed
from pipeline.system.mounts import network_file_system


def split_command(path: Path, overrides: list[str], *, new: bool, prepare: bool, ray: str | None, as_json: bool) -> int:
    """Split a job, or say how it was split; with `prepare` all cores look over its pictures first."""
    spec, words = load_spec(path, overrides=overrides), [path, *settings(overrides)]
    if prepare or needs_first_pass(spec, new=new):
        look_over_pictures(spec, ray, ahead=prepare)
    folder, split = split_job(spec, new=new, upgrade=True, words=words)
    if as_json:
        show_json({"folder": str(folder), "shards": split.shards, "items": split.items, "counts": split.counts})
        return 0
    if network_file_system(folder) is None:
        say(f"note: {folder.parent} is on a disk of this machine, which no other machine sees")
    rows = [("items", f"{split.items:,}"), ("shards", f"{split.shards:,}")]
    if split.clashes:
        rows.append(("items whose id another one has (they become failed items)", f"{split.clashes:,}"))
    show_rows([*rows, ("run", str(folder))])
    work, here = typed("work", *words), typed("cluster", "run", *words, "--local", 2)
    show_lines([f"Next: {work} on each machine, or {here} here"])
    return 0

"""The command `pipeline split`."""

from pathlib import Path

from pipeline.cli.screen import show_json, show_lines, show_rows
from pipeline.cluster.split import split_job
from pipeline.run.load import load_spec
from pipeline.system.fault import typed


def split_command(path: Path, overrides: list[str], *, new: bool, as_json: bool) -> int:
    """Split a job, or say how it was split."""
    folder, split = split_job(load_spec(path, overrides=overrides), new=new)
    if as_json:
        show_json({"folder": str(folder), "shards": split.shards, "items": split.items, "counts": split.counts})
        return 0
    rows = [("items", f"{split.items:,}"), ("shards", f"{split.shards:,}")]
    if split.clashes:
        rows.append(("items whose id another one has (they become failed items)", f"{split.clashes:,}"))
    show_rows([*rows, ("run", str(folder))])
    show_lines([f"Next: {typed('work', path)} on each machine, or {typed('cluster', 'run', path, '--local', 2)} here"])
    return 0

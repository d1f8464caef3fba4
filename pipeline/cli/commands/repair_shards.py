"""The command `pipeline repair` for a run of many machines: it repairs the shards that need it, each by itself."""

from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.screen import show_lines
from pipeline.cluster.directories import directories, in_a_line
from pipeline.cluster.owning import owning
from pipeline.cluster.split import restore_split
from pipeline.offline.shards.repair import Looked, repair_shards
from pipeline.offline.shards.resting import leases_of
from pipeline.system.fault import typed
from pipeline.system.wording import count, listed


def repair_shards_command(run: Path, numbers: list[int], *, only_copy: bool) -> int:
    """Repair the shards of a run that need it; print what was done in each. Return the exit code of what failed."""
    if restore_split(run):
        show_lines(["split.json: written anew from its copy"])
    found = directories(run)
    looked = []
    with owning(run, leases_of(found), say=say) as owner:
        for one in repair_shards(found, owner, numbers, only_copy=only_copy):
            looked.append(one)
            _show(one)
    if whole := [one.shard.name for one in looked if not one.done and one.failed is None]:
        are = count(len(whole), "shard is", "shards are")
        show_lines([f"{are} whole ({listed(whole)}): journals and lines are what was written"])
    if repaired := [one for one in looked if one.done]:
        show_lines([f"{count(len(repaired), 'shard')} repaired; `pipeline work` the job file goes on with them"])
        if any("in doubt" in line for one in repaired for line in one.done):
            show_lines(
                [f"`{typed('status', run)}` names what is in doubt, and how to decide once the vendor was asked"]
            )
    return max((one.failed.exit_code for one in looked if one.failed is not None), default=0)


def _show(one: Looked) -> None:
    show_lines(f"shard {one.shard.name}: {line}" for line in one.done)
    if one.failed is not None:
        say(f"shard {one.shard.name} is not repaired: {in_a_line(one.failed)}")

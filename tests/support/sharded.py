"""Cluster runs on disk, made of ordinary runs: a job's items split over shards, each run in a directory of its own."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline import RunOptions, run_job
from pipeline.cluster.claims import Claims, GivenBack
from pipeline.cluster.epochs import EpochNote, write_note
from pipeline.cluster.layout import ITEMS, shard_folder
from pipeline.journal.places import SPLIT
from pipeline.leases.lease import LEASE_S
from pipeline.leases.opening import open_store
from tests.support.jobs import ACCOUNT, FaultPlan, drawings, job, vendor
from tests.support.splits import split_of


class Sharded(NamedTuple):
    """A cluster run, and a run of the same items that was not split."""

    folder: Path
    single: Path
    path: Path  # the job file

    def run(self, shard: int, epoch: int = 1) -> Path:
        """The run directory of a shard."""
        return shard_folder(self.folder, shard) / f"e{epoch}"

    def copied(self, folder: Path) -> Path:
        """Copy the run with its leases into a folder; return the folder of the copy."""
        shutil.copytree(self.folder.parent, folder / "shared")
        return folder / "shared" / self.folder.name


def sharded(
    folder: Path,
    url: str,
    *,
    shards: int = 3,
    each: int = 4,
    single: bool = True,
    clients: tuple[str, ...] = (),
    ids: tuple[str, ...] = (),
    **parts: Any,
) -> Sharded:
    """Run a job of so many items twice: in shards, and as one run. The items are of the `clients` in turn."""
    path = job(folder, url=url, pictures=drawings(shards * each), **parts)
    rows = (folder / "list.csv").read_text().splitlines()[1:]
    whole = json.loads(path.read_text())
    rows = [f"{id_},{row.partition(',')[2]}" for id_, row in zip(ids, rows, strict=True)] if ids else rows
    if clients:
        rows = [f"{row},{clients[number % len(clients)]}" for number, row in enumerate(rows)]
        (folder / "list.csv").write_text("\n".join(["id,url,client", *rows]) + "\n")
        whole["images"][0]["columns"] = {"labels": ["client"]}
        path.write_text(json.dumps(whole))
    found = Sharded(folder / "shared" / "job", folder / "runs" / "job", path)
    if single:
        run_job(path, options=RunOptions(environment=ACCOUNT))
    for number in range(shards):
        mine = rows[number * each : (number + 1) * each]
        run_shard(found, whole, number, mine)
    write_split(found.folder, [each] * shards)
    return found


def run_shard(found: Sharded, spec: dict[str, Any], number: int, rows: list[str], *, epoch: int = 1) -> None:
    """Run the items of a shard, rows of a list, into its run directory."""
    where = shard_folder(found.folder, number)
    where.mkdir(parents=True, exist_ok=True)
    cells = [dict(zip(("id", "url", "client"), row.split(","), strict=False)) for row in rows]
    (where / ITEMS).write_text("".join(json.dumps(row) + "\n" for row in cells))
    images = [{**spec["images"][0], "manifest": str(where / ITEMS)}]
    own = {**spec, "images": images, "output": {"dir": str(where), "run": f"e{epoch}"}}
    path = found.path.with_name(f"shard-{number}.yaml")
    path.write_text(json.dumps(own))
    run_job(path, options=RunOptions(environment=ACCOUNT))
    path.unlink()


def leased(found: Sharded, *, counts: list[int], worker: str = "", lease_s: float = LEASE_S) -> Path:
    """Make the shards those of workers that gave them back; of the first one `worker` is the owner still."""
    split = split_of(*counts, lease_s=lease_s)
    (found.folder / SPLIT).write_bytes(msgspec.json.encode(split))
    place = found.folder.parent / ".leases"
    place.mkdir(exist_ok=True)
    claims = Claims(open_store(str(place)), split)
    for standing in claims.look():
        claim = claims.claim(standing, worker or "0")
        assert claim is not None
        write_note(found.run(standing.shard), EpochNote(epoch=1, worker="0"))
        if not worker or standing.shard:
            assert claims.give_back(claim, GivenBack.DONE)
    return place


def write_split(folder: Path, counts: list[int]) -> None:
    """Note how many shards there are, and how many items were split into each."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SPLIT).write_text(json.dumps({"version": 1, "shards": len(counts), "counts": counts}))


def doubtful(folder: Path, *lost: int, each: int = 3) -> Sharded:
    """Make a leased run of three shards, in which the answers of these creates, from 0 on, were lost: in doubt."""
    script = {"create": ["lost" if number in lost else "" for number in range(3 * each)]}
    with vendor(folder, faults=FaultPlan.scripted(script)) as server:
        made = sharded(folder, server.url, each=each, single=False, api={"max_in_flight": 1})
    leased(made, counts=[each] * 3)
    return made

"""The split of a job into shards: once, before any machine works on it, and the same however often it is asked for.

Everything is made in a draft folder, which takes the place of the run's folder as a whole: whoever comes second, on
whatever machine, finds it made and uses it. A kill leaves a draft, which the next split on that machine removes.
"""

import contextlib
import gc
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from pipeline.cluster.clashes import settle_clashes
from pipeline.cluster.listing import list_items
from pipeline.cluster.machines import workers_in
from pipeline.cluster.partition import divide, index_ids, make_durable, name_firsts
from pipeline.errors import JournalError, SpecError
from pipeline.job.checks import WORKBOOK_ENDINGS
from pipeline.job.cluster import ITEMS_OF_A_SHARD, MOST_SHARDS, ClusterSpec
from pipeline.job.schema import JobSpec
from pipeline.journal.places import SHARDS, SPLIT
from pipeline.leases.lease import LEASE_S
from pipeline.run.cluster_runs import LEASES, refuse_not_split, shared_folder
from pipeline.run.directory import run_folder
from pipeline.run.listed import keep_list, list_at_hand
from pipeline.sources.check import check_sources, fingerprint
from pipeline.sources.tables import locate_manifest
from pipeline.system.fault import Fault, typed
from pipeline.system.files import sync_folder, write_whole
from pipeline.system.helpers import helpers
from pipeline.system.processes import cores
from pipeline.system.structs import decode
from pipeline.system.wording import listed
from pipeline.version import __version__

_DRAFT = ".split-"
_LONG = 8 << 20  # bytes of lists that are worth the start of other processes
_MOST_CORES = 4  # each reads the whole list
_UNNAMED = ("JOB",)  # the words for a job whose file is not known


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """A split as split.json says it.

    id            of this run's shards in the store of leases
    program       the version that every worker must have
    fingerprint   of the sources that were read
    shards        their number, which never changes
    counts        how many items each has
    lease_s       how long a lease lasts, for commands that work on shards as the workers do
    clashes       items that failed because another one of another shard has their id
    accounts      True where several accounts share the shards; nothing else notes one
    """

    schema: int = 1
    id: str
    program: str
    job: str
    run: str
    fingerprint: str
    same_picture: str
    shards: int
    items: int
    clashes: int
    counts: list[int]
    lease_s: float = LEASE_S
    accounts: bool | msgspec.UnsetType = msgspec.UNSET


def split_job(
    spec: JobSpec, *, new: bool = False, upgrade: bool = False, words: Sequence[object] = _UNNAMED
) -> tuple[Path, Split]:
    """Split a job, or find how it was split; return the folder of its run, and the split. `words` name it in a command.

    With `upgrade` a run that another version of this program has split is gone on with by this one from now on.
    Raises SpecError when the job is not for many machines, or its sources are not what was split, JournalError where
    the folder that machines share is not there.
    """
    shared = shared_folder(spec)
    cluster = spec.cluster
    assert cluster is not None
    folder = run_folder(spec, now=datetime.now().astimezone(), new=new)
    with list_at_hand(spec, new=new, folder=folder) as at_hand:
        if (folder / SPLIT).exists():
            return folder, _same(at_hand, folder, words, upgrade=upgrade)
        check_sources(at_hand)
        with _draft(folder) as draft, _without_pauses():
            split = _split(keep_list(at_hand, draft), cluster, folder, draft)
            if spec.api.leases is None:
                (shared / LEASES).mkdir(mode=0o700, exist_ok=True)  # workers make none
            taken = _take_place(draft, folder)
        return folder, split if taken else _same(at_hand, folder, words, upgrade=upgrade)


def find_split(spec: JobSpec, words: Sequence[object] = _UNNAMED) -> tuple[Path, Split]:
    """Find how a job was split, and make nothing; return the folder of its run, and the split. `words` are as above.

    Raises JournalError where it was not, SpecError when its sources, or the version, are not those of the split.
    """
    folder = run_folder(spec, now=datetime.now().astimezone())
    refuse_not_split(folder, words)
    with list_at_hand(spec, folder=folder, reads=False) as at_hand:
        return folder, _same(at_hand, folder, words, upgrade=False)


def read_split(folder: Path) -> Split:
    """Read how a run was split. Raises SpecError where it was not."""
    try:
        return decode((folder / SPLIT).read_bytes(), Split)
    except FileNotFoundError:
        raise SpecError(Fault("this run is not split", where=str(folder), fix="pipeline split JOB")) from None
    except (OSError, msgspec.MsgspecError) as exc:
        fix = typed("repair", folder)
        raise SpecError(Fault(f"cannot be read: {exc}", where=str(folder / SPLIT), fix=fix)) from None


def restore_split(folder: Path) -> bool:
    """Write split.json anew where it is gone or damaged; return whether it was. Raises JournalError without a copy."""
    if _decoded(folder / SPLIT) is not None:
        return False
    if (split := _decoded(_copy_of(folder))) is None:
        what = "this file says which shards are whose, it is gone or damaged, and there is no copy of it; put it back"
        raise JournalError(Fault(what, where=str(folder / SPLIT)))
    _write_split(folder, split)
    return True


def _decoded(file: Path) -> Split | None:
    try:
        return decode(file.read_bytes(), Split)
    except (OSError, msgspec.MsgspecError):
        return None


def _copy_of(folder: Path) -> Path:
    """Return where the copy of split.json lies, for when that is damaged: nothing else says what it says."""
    return folder / SHARDS / SPLIT


def _same(spec: JobSpec, folder: Path, words: Sequence[object], *, upgrade: bool) -> Split:
    """Return the split that there is. Raises SpecError when the sources are others now, or the version is another."""
    split = read_split(folder)
    if fingerprint(spec) != split.fingerprint:
        what = (
            f"the pictures that the job lists are others than when it was split into {split.shards:,} shards, and "
            "nothing was sent: put the list back, or start a new run with what is listed now"
        )
        raise SpecError(Fault(what, where=str(folder), fix=anew(words)))
    _refuse_other_accounts(spec, split, folder, words)
    if split.program == __version__:
        return split
    if not upgrade:
        what = (
            f"this run belongs to version {split.program} of this program, and this is {__version__}: all machines "
            "have one. Stop the workers and install one version on all, then split again, which changes nothing else"
        )
        raise SpecError(Fault(what, where=str(folder), fix=f"pip install infringement-pipeline=={split.program}"))
    if there := [one.name for one in workers_in(folder) if one.is_there(now=time.time())]:
        what = f"workers of version {split.program} are at work on this run ({listed(there)}); stop them first"
        raise SpecError(Fault(what, where=str(folder), fix=typed("cluster", "down", *words, there[0])))
    split = msgspec.structs.replace(split, program=__version__)
    _write_split(folder, split)
    return split


def anew(words: Sequence[object]) -> str:
    """Write the command that splits a job into a new run; `words` name the job."""
    return typed("split", *words, "--new")


def _refuse_other_accounts(spec: JobSpec, split: Split, folder: Path, words: Sequence[object]) -> None:
    """Raise SpecError where a run of one account would go on with several, or the other way round."""
    if bool(spec.accounts) == (split.accounts is True):
        return
    what = "this run was split for the one account, and cluster.accounts names several: take it out, or start a new run"
    if split.accounts is True:
        what = "this run was split for several accounts: put cluster.accounts back as it was, or start a new run"
    raise SpecError(Fault(what, where=str(folder), fix=anew(words)))


def _split(spec: JobSpec, cluster: ClusterSpec, folder: Path, draft: Path) -> Split:
    read = fingerprint(spec)
    with helpers(_helpers_for(spec)) as others:
        listing = list_items(spec, draft, others)
        shards = cluster.shards if isinstance(cluster.shards, int) else _shards_for(listing.items)
        indexed = [helper.begin(index_ids, listing, shards) for helper in others[:1]]
        counts = divide(listing, shards)
        if cluster.same_picture == "pixels":
            name_firsts(draft, shards)
        several = next((outcome() for outcome in indexed), None)
    clashes = settle_clashes(draft, index_ids(listing, shards) if several is None else several)
    listing.remove()
    if fingerprint(spec) != read:
        raise SpecError(
            Fault("the list was changed while it was split, and nothing is split; split it again", where="")
        )
    split = Split(
        id=secrets.token_hex(8),
        program=__version__,
        job=spec.name,
        run=folder.name,
        fingerprint=read,
        same_picture=cluster.same_picture,
        shards=shards,
        items=listing.items,
        clashes=clashes,
        counts=counts,
        lease_s=cluster.lease_s,
        accounts=True if cluster.accounts else msgspec.UNSET,
    )
    _write_split(draft, split)
    make_durable(draft, shards)
    return split


def _helpers_for(spec: JobSpec) -> int:
    """Return how many processes beside this one are worth their start: none for a list that is read in a moment."""
    manifests = [locate_manifest(spec, entry) for entry in spec.images if entry.manifest]
    texts = [file for file in manifests if not file.name.lower().endswith(WORKBOOK_ENDINGS)]
    long = sum(file.stat().st_size for file in texts) >= _LONG
    return min(cores(), _MOST_CORES) - 1 if long else 0


def _shards_for(items: int) -> int:
    return max(1, min(MOST_SHARDS, -(-items // ITEMS_OF_A_SHARD)))


def _write_split(folder: Path, split: Split) -> None:
    for file in (_copy_of(folder), folder / SPLIT):
        write_whole(file, msgspec.json.encode(split) + b"\n", several_writers=True)


@contextlib.contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """Make a draft folder beside the run's; remove it in the end unless it took that one's place."""
    host = "".join(char if char.isalnum() else "-" for char in socket.gethostname())
    try:
        for other in folder.parent.glob(f"{_DRAFT}{host}-*"):
            _remove_abandoned(other)
        draft = folder.parent / f"{_DRAFT}{host}-{os.getpid()}-{secrets.token_hex(4)}"
        draft.mkdir(mode=0o700)
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as exc:
        what = f"the folder that the machines share cannot be written: {exc.strerror or exc}"
        raise SpecError(Fault(what, where=str(exc.filename or folder.parent))) from None


def _remove_abandoned(draft: Path) -> None:
    """Remove a draft of this machine whose process has ended."""
    pid = draft.name.split("-")[-2]
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        shutil.rmtree(draft, ignore_errors=True)
    except (OSError, ValueError):
        return


def _take_place(draft: Path, folder: Path) -> bool:
    """Let the draft take the place of the run's folder; return False when another one has."""
    try:
        draft.rename(folder)  # never over a folder in which something lies
    except OSError:
        if (folder / SPLIT).exists():
            return False
        raise
    sync_folder(folder.parent)
    return True


@contextlib.contextmanager
def _without_pauses() -> Iterator[None]:
    """Look for no circles of objects meanwhile: there are none, and a million items make many looks."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

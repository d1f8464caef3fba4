"""The first pass of a job for many machines: on the cores of this one, or on those of a Ray cluster."""

from collections.abc import Callable
from datetime import datetime

from pipeline.cluster.first_pass import Prepared, prepare
from pipeline.errors import SpecError
from pipeline.job.images import STDIN
from pipeline.job.schema import JobSpec
from pipeline.journal.places import SPLIT
from pipeline.run.cluster_runs import shared_folder
from pipeline.run.directory import run_folder
from pipeline.run.listed import list_at_hand
from pipeline.system.fault import Fault


def reads_stdin(spec: JobSpec) -> bool:
    """Return whether the list of a job comes in on stdin, where it can be read once."""
    return any(entry.manifest == STDIN for entry in spec.images)


def needs_first_pass(spec: JobSpec, *, new: bool) -> bool:
    """Return whether a job is about to be split by the pixels of its pictures, which one core would take long for."""
    if spec.cluster is None or spec.cluster.same_picture != "pixels" or reads_stdin(spec):
        return False
    return new or not (run_folder(spec, now=datetime.now().astimezone()) / SPLIT).is_file()


def prepared(
    spec: JobSpec, *, ray: str | None, watch: Callable[[int], None], ahead: bool = False, opened: bool = False
) -> Prepared:
    """Look over the local pictures of a job, as `prepare` says.

    Raises SpecError or JournalError where that cannot be.
    """
    shared = shared_folder(spec)
    try:
        with list_at_hand(spec) as listed:
            if ray is None:
                return prepare(listed, shared, watch=watch, ahead=ahead, opened=opened)
            from pipeline.cluster.ray import RayMachines

            machines = RayMachines(ray)
            try:
                return prepare(listed, shared, spread=machines.spread, watch=watch, ahead=ahead, opened=opened)
            finally:
                machines.close()
    except OSError as exc:
        what = f"the folder that the machines share cannot be written: {exc.strerror or exc}"
        raise SpecError(Fault(what, where=str(exc.filename or shared))) from None

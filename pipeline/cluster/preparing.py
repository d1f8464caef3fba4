"""The first pass of a job for many machines: on the cores of this one, or on those of a Ray cluster."""

from collections.abc import Callable

from pipeline.cluster.first_pass import Prepared, prepare
from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.run.cluster_runs import shared_folder
from pipeline.run.listed import list_at_hand
from pipeline.system.fault import Fault


def prepared(spec: JobSpec, *, ray: str | None, watch: Callable[[int], None]) -> Prepared:
    """Look over the local pictures of a job. Raises SpecError or JournalError where that cannot be."""
    shared = shared_folder(spec)
    try:
        with list_at_hand(spec) as listed:
            if ray is None:
                return prepare(listed, shared, watch=watch)
            from pipeline.cluster.ray import RayMachines

            machines = RayMachines(ray)
            try:
                return prepare(listed, shared, spread=machines.spread, watch=watch)
            finally:
                machines.close()
    except OSError as exc:
        what = f"the folder that the machines share cannot be written: {exc.strerror or exc}"
        raise SpecError(Fault(what, where=str(exc.filename or shared))) from None

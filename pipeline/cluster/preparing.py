"""The first pass of a job for many machines: on the cores of this one, or on those of a Ray cluster."""

from collections.abc import Callable

from pipeline.cluster.first_pass import Prepared, prepare
from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.run.listed import list_at_hand
from pipeline.system.fault import Fault


def prepared(spec: JobSpec, *, ray: str | None, watch: Callable[[int], None]) -> Prepared:
    """Look over the local pictures of a job. Raises SpecError where that cannot be."""
    if spec.cluster is None:
        what = "the job names no folder that machines share, and a run of one machine prepares nothing"
        raise SpecError(Fault(what, where="cluster", fix="cluster: {shared: /mnt/screening}"))
    shared = spec.place(spec.cluster.shared).resolve()
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

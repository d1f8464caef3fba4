"""The seam between a job and the way it is executed."""

from typing import Protocol

from pipeline.results.summary import RunSummary
from pipeline.run.load import Job
from pipeline.run.options import RunOptions


class Executor(Protocol):
    """A way to execute jobs. `local`, in this process, is the one there is; workers of `cluster/` run shards by it."""

    def run(self, job: Job, options: RunOptions) -> RunSummary:
        """Work on the items of a job until they are settled or something ends the run; return its summary.

        Raises SpecError, RunLocked or JournalError, and Interrupted where a signal came before the first item was
        begun; everything else that can end a run is in the summary.
        """

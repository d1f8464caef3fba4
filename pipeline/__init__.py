"""Screen product pictures against design patents, a whole portfolio at a time.

>>> from pipeline import plan_job, read_records, run_job
>>> plan_job("portfolio.yaml", new=True).calls  # what a run would send, before anything is paid
{'upload': 0, 'search': 3, 'create': 3}
>>> summary = run_job("portfolio.yaml")
>>> summary.exit_code, summary.items["tasked"]
(0, 3)
>>> for record in read_records("runs/portfolio"):
...     print(record.item, record.status, record.search.hits, "hits")
A tasked 20 hits
B tasked 20 hits
C tasked 20 hits
"""

from __future__ import annotations

from pipeline.version import __version__

TYPE_CHECKING = False  # not that of `typing`, which takes long to load: until then a signal is not heard by the command

if TYPE_CHECKING:
    from typing import Any

    from pipeline.errors import JournalError, PipelineError, RunLocked, SpecError
    from pipeline.offline.plan import Plan, plan_job
    from pipeline.results.reading import RecordView
    from pipeline.results.records import read_records
    from pipeline.results.summary import RunSummary
    from pipeline.run.local import run_job
    from pipeline.run.options import RunOptions
    from pipeline.run.progress import Observer, Progress
    from pipeline.run.stop import Stop

__all__ = [
    "JournalError",
    "Observer",
    "PipelineError",
    "Plan",
    "Progress",
    "RecordView",
    "RunLocked",
    "RunOptions",
    "RunSummary",
    "SpecError",
    "Stop",
    "__version__",
    "plan_job",
    "read_records",
    "run_job",
]

_HOMES = {
    "JournalError": "pipeline.errors",
    "Observer": "pipeline.run.progress",
    "PipelineError": "pipeline.errors",
    "Plan": "pipeline.offline.plan",
    "Progress": "pipeline.run.progress",
    "RecordView": "pipeline.results.reading",
    "RunLocked": "pipeline.errors",
    "RunOptions": "pipeline.run.options",
    "RunSummary": "pipeline.results.summary",
    "SpecError": "pipeline.errors",
    "Stop": "pipeline.run.stop",
    "plan_job": "pipeline.offline.plan",
    "read_records": "pipeline.results.records",
    "run_job": "pipeline.run.local",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is asked for: `pipeline --help` must not wait for aiohttp."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pipeline' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Screen product pictures against design patents, a whole portfolio at a time."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipeline.version import __version__

if TYPE_CHECKING:
    from pipeline.results.summary import RunSummary
    from pipeline.run.local import run_job
    from pipeline.run.options import RunOptions

__all__ = ["RunOptions", "RunSummary", "__version__", "run_job"]

_HOMES = {
    "RunOptions": "pipeline.run.options",
    "RunSummary": "pipeline.results.summary",
    "run_job": "pipeline.run.local",
}


def __getattr__(name: str) -> Any:
    """Load the public names when they are asked for: `pipeline --help` must not wait for aiohttp."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pipeline' has no attribute {name!r}")

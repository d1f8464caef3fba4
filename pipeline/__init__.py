"""Screen product pictures against design patents, a whole portfolio at a time."""

from typing import TYPE_CHECKING, Any

from pipeline.version import __version__

if TYPE_CHECKING:
    from pipeline.app import RunOptions, run_job
    from pipeline.summary import RunSummary

__all__ = ["RunOptions", "RunSummary", "__version__", "run_job"]


def __getattr__(name: str) -> Any:
    """Load the public names when they are asked for: `pipeline --help` must not wait for aiohttp."""
    if name in ("RunOptions", "run_job"):
        from pipeline import app

        return getattr(app, name)
    if name == "RunSummary":
        from pipeline.summary import RunSummary

        return RunSummary
    raise AttributeError(f"module 'pipeline' has no attribute {name!r}")

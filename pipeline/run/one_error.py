"""The one error that a run ends with: the first of nested groups; of the system's with its place."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import JournalError
from pipeline.system.fault import Fault


@contextmanager
def beside_a_journal(folder: Path) -> Iterator[None]:
    """Raise the one error of a run; where the system refused something, say that the journal keeps what was paid."""
    try:
        yield
    except (OSError, BaseExceptionGroup) as exc:
        error = _first(exc) if isinstance(exc, BaseExceptionGroup) else exc
        if isinstance(error, OSError):
            what = f"{error.strerror or error}; what was paid is in the journal: mend it and run again"
            error = JournalError(Fault(what, where=str(error.filename or folder)))
        raise error from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of nested groups: they hold the same failure, seen by several workers."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner

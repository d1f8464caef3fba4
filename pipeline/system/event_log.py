"""run.log.jsonl: the events of a run, one JSON object a line, in ASCII and without secrets."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.system.clock import iso
from pipeline.system.masking import masked


class _Masked(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = masked(record.getMessage()), ()
        return True


class _File(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Ignore an error of the log file: it must not end a run that can still save paid results."""

    def close(self) -> None:
        with suppress(OSError):
            super().close()


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event, _, rest = record.getMessage().partition(" ")
        line = {"at": iso(record.created), "level": record.levelname.lower(), "event": event, "text": rest[:2000]}
        return json.dumps({key: value for key, value in line.items() if value})


@contextmanager
def run_log(path: Path, *, say: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Write this package's events to `path` until the block ends, and nowhere else.

    A file that cannot be written is told to `say`, and the block goes on without it.
    """
    handler: logging.Handler
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)
        handler = _File(path, encoding="utf-8")
    except OSError as exc:
        say(f"note: {path} cannot be written ({exc.strerror or exc}); the run goes on without a log")
        handler = logging.NullHandler()
    handler.addFilter(_Masked())
    handler.setFormatter(_JsonLine())
    logger = logging.getLogger("pipeline")
    level, propagates = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
        logger.setLevel(level)
        logger.propagate = propagates

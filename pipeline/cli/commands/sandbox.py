"""The command `pipeline sandbox`."""

import signal
import sys
import threading
from typing import Any

from pipeline.cli.errors import say
from pipeline.cli.live import PlainLines
from pipeline.errors import SpecError
from pipeline.system.fault import Fault, typed
from pipeline.system.folders import cache_folder


def sandbox_command(
    *, port: int, faults: str, denied: str, omitted: str, report_after: str, reports: str, **others: Any
) -> int:
    """Serve until SIGINT or SIGTERM; `others` are settings as they are."""
    from pipeline.sandbox.fates import ReportPlan
    from pipeline.sandbox.faults import FaultPlan
    from pipeline.sandbox.server import SandboxServer
    from pipeline.sandbox.settings import SandboxSettings

    try:
        settings = SandboxSettings(
            faults=FaultPlan.parse(faults),
            denied=frozenset(_names(denied)),
            omit_headers=tuple(_names(omitted)),
            report_after_s=_seconds(report_after),
            reports=ReportPlan.parse(reports),
            cache_dir=cache_folder(),
            preparing=PlainLines(sys.stderr).prepare,
            **others,
        )
    except ValueError as exc:
        raise SpecError(Fault(str(exc), fix=typed("sandbox", "--help"))) from None
    ended = threading.Event()
    with SandboxServer(settings, port=port) as server:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        print(server.url, flush=True)
        say(
            "The sandbox is up. In a job file: base_url: "
            f"{server.url}; credentials: PATSNAP_CLIENT_ID=sandbox PATSNAP_CLIENT_SECRET=sandbox-secret, "
            "or PATSNAP_API_KEY=sandbox-key. Ctrl-C ends it."
        )
        while not ended.wait(0.5):
            pass
    return 0


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _seconds(text: str) -> tuple[float, float]:
    """Read seconds, or a range of them. Raises ValueError for anything else."""
    earliest, dash, latest = text.partition("-")
    try:
        return float(earliest), float(latest if dash else earliest)
    except ValueError:
        raise ValueError(f"report_after: seconds, or from-to, for example 5-60; found {text!r}") from None

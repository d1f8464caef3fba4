"""A vendor as hard on a run as a real one may be: tokens of 3 seconds, 50 calls a second, faults of every kind."""

from pathlib import Path

from pipeline.sandbox.fates import ReportPlan
from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings

QPS = 50
OF_QUERIES = "query:67200002=0.02,query:reset=0.02,query:lost=0.01"
FATES = "failed=0.02,no_status=0.1"  # of reports


def strict_vendor(folder: Path, *, cache: Path, faults: str, seed: int) -> SandboxServer:
    """Return such a vendor of reports, with its files in `folder`; `faults` are those of the paid calls."""
    return SandboxServer(
        SandboxSettings(
            folder=folder / "vendor",
            cache_dir=cache,
            qps=QPS,
            token_lifetime_s=3,
            faults=FaultPlan.parse(f"{faults},{OF_QUERIES}", seed=seed),
            reports=ReportPlan.parse(FATES),
        )
    )

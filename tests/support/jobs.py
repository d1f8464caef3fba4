"""Jobs and servers for tests of whole runs, and the command line in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.resources import resource
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings
from tests.support.accounts import known_account
from tests.support.processes import completed, python, running

# For runs whose subject is the paid calls: fetching pictures beside them would only take time.
NO_PICTURES = {"report": {"pictures": {"keep": 0}}}
ACCOUNT = {"PATSNAP_CLIENT_ID": "sandbox", "PATSNAP_CLIENT_SECRET": "sandbox-secret"}


def vendor(folder: Path, **settings: Any) -> SandboxServer:
    """A vendor of our own on a free port, with its files in `folder`."""
    return SandboxServer(SandboxSettings(folder=folder / "vendor", cache_dir=sandbox_cache(), **settings))


def sandbox_cache() -> Path:
    """The folder in which all tests of a session keep the index of the shipped gallery: making it takes seconds."""
    return Path(os.environ["XDG_CACHE_HOME"]) / "infringement-pipeline"


def drawings(count: int) -> list[str]:
    """URLs of that many different pictures that the sandbox ships."""
    names = _gallery()
    return [f"https://sandbox.invalid/gallery/{names[n % len(names)]}?n={n}" for n in range(count)]


@cache
def _gallery() -> list[str]:
    return sorted(path.name for path in resource("gallery").iterdir())


def job(folder: Path, *, url: str, pictures: list[str] | int = 5, known: bool = True, **parts: Any) -> Path:
    """Write a job with a manifest; `parts` are top-level keys of the job file.

    ACCOUNT has used the vendor's endpoints before, unless it is not `known`. The folder that machines share is there.
    """
    if known and url != "sandbox":
        known_account(url, ACCOUNT)
    if "cluster" in parts:
        (folder / parts["cluster"]["shared"]).mkdir(mode=0o700, exist_ok=True)
    listed = drawings(pictures) if isinstance(pictures, int) else pictures
    rows = "".join(f"P{n:04},{picture}\n" for n, picture in enumerate(listed))
    (folder / "list.csv").write_text(f"id,url\n{rows}")
    api = {"base_url": url, "qps": 1000, **parts.pop("api", {})}
    spec = {
        "version": 1,
        "name": "job",
        "images": [{"manifest": "list.csv"}],
        "search": {"limit": 3},
        **NO_PICTURES,
        "api": api,
        **parts,
    }
    path = folder / "job.yaml"
    path.write_text(json.dumps(spec))  # JSON is YAML
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    """The records of a JSONL file."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@contextmanager
def started(
    *arguments: str | Path, cwd: Path, code: str | None = None, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """Run the command line in a process of its own while the block lasts.

    With `code` the process runs that instead: its arguments are in `sys.argv`, the command line is `cli.run`.
    """
    with running(_command(arguments, code), cwd=cwd, env={**os.environ, **environment}) as process:
        yield process


def pipeline(
    *arguments: str | Path, cwd: Path, code: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line, or `code`, to its end."""
    return completed(_command(arguments, code), cwd=cwd, env={**os.environ, **environment})


def _command(arguments: Sequence[str | Path], code: str | None) -> Sequence[str | Path]:
    if code is None:
        return [sys.executable, "-m", "pipeline", *arguments]
    return python(f"import os, sys\nfrom pipeline.cli import main as cli\n{code}", *arguments)


__all__ = ["ACCOUNT", "FaultPlan", "drawings", "job", "lines", "pipeline", "sandbox_cache", "started", "vendor"]

"""Disks that are small, full or read-only."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fixtures import Mount


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a tmpfs of so many MB; skips where that is not allowed."""
    mounted: list[Path] = []

    def do(name: str, *, megabytes: int, options: str = "rw") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,{options}", "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no mount command here")
        if done.returncode:
            pytest.skip(f"a small disk needs the right to mount: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield do
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)

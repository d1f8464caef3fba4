"""Types of the things that fixtures give."""

from collections.abc import Callable
from pathlib import Path

from pipeline.job.schema import JobSpec
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings
from tests.support.sandbox_calls import NOON

Load = Callable[..., JobSpec]
Faults = Callable[..., list[str]]
Job = Callable[..., JobSpec]
Mount = Callable[..., Path]
Settings = Callable[..., SandboxSettings]
Start = Callable[..., SandboxServer]


class Clock:
    """A wall clock that stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now

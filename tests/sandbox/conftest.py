"""Fixtures of the sandbox's tests: a small gallery, a clock that tests set, a running server."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipeline.sandbox.gallery import Gallery
from pipeline.sandbox.resources import resource
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings
from tests.support.sandbox_calls import NOON


class Clock:
    """A wall clock that stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


Settings = Callable[..., SandboxSettings]
Start = Callable[..., SandboxServer]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def gallery(own_home: Path) -> Gallery:
    """The whole gallery, indexed once in a session."""
    return Gallery.load(resource("gallery"), own_home / "cache" / "infringement-pipeline")


@pytest.fixture(scope="session")
def small_gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawings, for tests that are about anything but the gallery."""
    folder = tmp_path_factory.mktemp("gallery")
    for drawing in sorted(resource("gallery").iterdir())[:12]:
        shutil.copy(drawing, folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path, small_gallery: Path, clock: Clock) -> Settings:
    def make(**changes: Any) -> SandboxSettings:
        return SandboxSettings(**{"folder": tmp_path / "sandbox", "gallery": small_gallery, "clock": clock, **changes})

    return make


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Start servers that end with the test."""
    with ExitStack() as running:
        yield lambda **changes: running.enter_context(SandboxServer(settings(**changes)))


@pytest.fixture
def product() -> bytes:
    """A shipped product picture."""
    return (resource("products") / "bag-0.jpg").read_bytes()

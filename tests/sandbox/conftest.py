"""Fixtures of the sandbox's tests: a clock that tests set, a running server, the whole gallery."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipeline.sandbox.gallery import Gallery
from pipeline.sandbox.resources import resource
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings
from tests.support.fixtures import Clock, Settings, Start
from tests.support.jobs import sandbox_cache


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def gallery(own_home: Path) -> Gallery:
    """The whole gallery, indexed once for all tests of a session."""
    return Gallery.load(resource("gallery"), sandbox_cache())


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

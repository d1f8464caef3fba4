"""Fixtures of the calls' tests: each of the two paid calls, retries at once, a sandbox on port 0, a certificate."""

import shutil
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings
from tests.support.clients import CREATE, SEARCH, Call, Certificate
from tests.support.fixtures import Start
from tests.support.processes import completed


@pytest.fixture(params=[SEARCH, CREATE], ids=["search", "create"])
def call(request: pytest.FixtureRequest) -> Call:
    """Each of the two ways to lose money."""
    result: Call = request.param
    return result


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Full jitter drew a zero: retries come at once."""
    monkeypatch.setattr("random.random", lambda: 0.0)


@pytest.fixture
def sandbox(tmp_path: Path, small_gallery: Path) -> Iterator[Start]:
    """Start sandboxes that end with the test."""
    with ExitStack() as running:
        yield lambda **settings: running.enter_context(
            SandboxServer(SandboxSettings(folder=tmp_path / "sandbox", gallery=small_gallery, **settings))
        )


@pytest.fixture(scope="session")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Made by the openssl command; skipped where there is none."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, file = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    made = completed([*command, "-keyout", key, "-out", file])
    assert made.returncode == 0, made.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return Certificate(file, context)

"""`pipeline sandbox`: what its options make of the account, and options that make no sense."""

import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from pipeline.cli import main as cli
from pipeline.system import masking
from tests.support.processes import ended, running
from tests.support.sandbox_calls import KEY, PRODUCT, SEARCH, SINGLE, basic
from tests.support.told import faults_in


@pytest.fixture(autouse=True)
def nothing_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show every word: what a test before has hidden as a secret, such as `token`, stays hidden in its process."""
    monkeypatch.setattr(masking, "_longest_first", ())


@pytest.mark.proofs
@pytest.mark.anyio
async def test_an_account_can_be_made_poor_and_restricted(tmp_path: Path) -> None:
    options = ["--port", "0", "--dir", tmp_path / "vendor", "--balance", "0", "--deny", "P060,P010"]
    options += ["--token-life", "60", "--omit", "x-openapi-amount", "--keep-alive", "60", "--daily-limit", "5"]
    with running([sys.executable, "-m", "pipeline", "sandbox", *options]) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        async with aiohttp.ClientSession(headers=KEY) as session:
            async with session.get(url + SEARCH, params={"url": PRODUCT}) as reply:
                assert (await reply.json())["error_code"] == 67200005
                assert "x-openapi-amount" not in reply.headers
                assert "x-correlation-id" in reply.headers
            async with session.post(url + SINGLE, json={}) as reply:
                assert (await reply.json())["error_code"] == 67200004
            data = aiohttp.FormData({"grant_type": "client_credentials"})
            login = {"Authorization": basic("sandbox", "sandbox-secret")}
            async with session.post(f"{url}/oauth/token", data=data, headers=login) as reply:
                assert (await reply.json())["expires_in"] == 60
        process.send_signal(signal.SIGTERM)
        ended(process)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--deny", "P999", "unknown endpoint 'P999'; known: AI39-1, "),
        ("--balance", "-1", "balance: at least 0"),
        ("--token-life", "0", "token_lifetime_s: at least 1"),
        ("--faults", "search:nothing@1", "unknown fault 'nothing'"),
        ("--reports", "lost=0.1", "unknown fate 'lost' of a report"),
        ("--refuse-patents", "2", "refused_patents: a share of the patents, from 0 to 1"),
        ("--report-after", "soon", "seconds, or from-to, for example 5-60; found 'soon'"),
        ("--report-after", "9-5", "report_after_s: not below 0"),
    ],
)
def test_an_option_that_makes_no_sense_is_one_line(
    option: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["sandbox", option, value]) == 2
    [told] = faults_in(capsys.readouterr().err)
    assert said in told.error
    assert told.fix == "pipeline sandbox --help"

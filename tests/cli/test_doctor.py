"""The doctor: what it finds of machine, account and job, what it says to do, and that it pays nothing."""

import email.utils
import json
import shlex
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pipeline.cli.main import run
from pipeline.run.directory import LOCK
from pipeline.sandbox.resources import resource
from pipeline.sandbox.server import SandboxServer
from tests.support.jobs import ACCOUNT, job, vendor
from tests.support.misbehaving import TOKEN, answers, envelope, http, serving

NAMES = ("PATSNAP_CLIENT_ID", "PATSNAP_CLIENT_SECRET", "PATSNAP_API_KEY", "PATSNAP_PROXY", "KUBERNETES_SERVICE_HOST")
SECRET = "Qz7Xk9Wv3Jb5Hn8Tg2Rf6Yd4Lm1Pc0ZsKvB"


@pytest.fixture(autouse=True)
def plain_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, and no container around us."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pipeline.cli.commands.doctor.is_contained", lambda _: False)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that the sandbox takes."""
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SandboxServer]:
    with vendor(tmp_path) as server:
        yield server


def found(capsys: pytest.CaptureFixture[str], *arguments: object, code: int) -> dict[str, list[dict[str, str]]]:
    """The findings of the doctor, by name."""
    capsys.readouterr()
    assert run(["doctor", *map(str, arguments), "--json"]) == code, capsys.readouterr().out
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["ready"] is (code == 0)
    names: dict[str, list[dict[str, str]]] = {}
    for finding in told["findings"]:
        names.setdefault(finding["name"], []).append(finding)
    return names


def test_account_and_job_that_are_ready_pass_and_nothing_is_paid(
    account: None, server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = job(
        tmp_path, url=server.url, pictures=5, api={"qps": 2}, prices={"P009": 0.5, "AI39-1": 1.5}, currency="USD"
    )
    names = found(capsys, path, code=0)
    assert {one["verdict"] for findings in names.values() for one in findings} <= {"pass", "warn"}
    [credentials], [token], [clock] = names["credentials"], names["token"], names["clock"]
    assert credentials["text"] == "client id *** and its secret, from the environment"
    assert "granted one for 29 min 59 s; nothing was paid" in token["text"]
    assert clock["text"].startswith("as the vendor's")
    assert names["pace"][0]["text"].startswith(
        "12 s at the QPS, bound by search at 2 a second: begun now it ends about"
    )
    assert "5 search, 5 create, 10.00 USD" in names["cost"][0]["text"].replace("10 USD", "10.00 USD")
    assert names["disk"][0]["text"].endswith("room enough for 5 items")
    assert "will be made" in names["run directory"][0]["text"]
    assert {*server.stats.outcomes} <= {"token"}
    assert not (tmp_path / "runs").exists()


def test_without_a_job_machine_and_account_alone_are_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    names = found(capsys, code=1)
    assert [one["verdict"] for one in names["credentials"]] == ["fail"]
    assert {"versions", "extras", "letters", "zone", "state folder", "open files"} <= set(names)
    assert not {"token", "job", "cost"} & set(names)


def test_lines_on_a_screen_name_what_to_type(
    account: None, server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", str(job(tmp_path, url=server.url))]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "ready"
    assert all(line.startswith(("pass  ", "warn  ", "      ")) for line in out[:-1])


# --- the account ---


def test_no_part_of_a_secret_is_shown(
    server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATSNAP_CLIENT_ID", "client-of-twenty-letters-xyz")
    monkeypatch.setenv("PATSNAP_CLIENT_SECRET", SECRET)
    path = job(tmp_path, url=server.url)
    for arguments in ([str(path)], [str(path), "--json"]):
        assert run(["doctor", *arguments]) == 1
        said = capsys.readouterr()
        assert "client id ***xyz and its secret" in said.out
        for text in (said.out, said.err):
            assert [part for at in range(len(SECRET) - 3) if (part := SECRET[at : at + 4]) in text] == []


@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        pytest.param(http(200, envelope(67200003)), "fail", "the client id or its secret is wrong", id="credentials"),
        pytest.param(http(401, b""), "fail", "the client id or its secret is wrong", id="HTTP 401"),
        pytest.param(http(200, envelope(67200002)), "warn", "used by somebody else at this moment", id="too fast"),
        pytest.param(http(200, envelope(67200001)), "warn", "the vendor's platform is full", id="full"),
        pytest.param(http(200, envelope(67200005)), "fail", "the account has nothing left", id="balance"),
        pytest.param(http(200, envelope(67200006)), "fail", "a person must look", id="past its period"),
        pytest.param(http(502, b"<html>"), "fail", "the vendor's side fails", id="HTTP 502"),
        pytest.param(http(200, b"{"), "fail", "the vendor's side fails", id="no JSON"),
    ],
)
def test_refused_token_is_told_with_what_it_means(
    answer: bytes, verdict: str, said: str, account: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(answers(answer)) as url:
        [token] = found(capsys, job(tmp_path, url=url), code=1 if verdict == "fail" else 0)["token"]
    assert token["verdict"] == verdict
    assert said in token["text"]


def test_wrong_secret_is_refused_by_the_vendor_and_said(
    server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATSNAP_CLIENT_ID", "sandbox")
    monkeypatch.setenv("PATSNAP_CLIENT_SECRET", SECRET)
    [token] = found(capsys, job(tmp_path, url=server.url, known=False), code=1)["token"]
    assert "compare PATSNAP_CLIENT_ID and PATSNAP_CLIENT_SECRET" in token["text"]


def test_vendor_that_is_not_there_is_said(account: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        names = found(capsys, job(tmp_path, url=url), code=1)
    assert "look at the network, the firewall" in names["token"][0]["text"]
    assert "clock" not in names


@pytest.mark.parametrize(
    ("ahead_s", "verdict", "said"),
    [
        (0, "pass", "as the vendor's"),
        (90, "warn", "ahead of"),
        (-90, "warn", "behind"),
        (-7230, "fail", "2 h 0 min behind"),
    ],
)
def test_clock_is_compared_with_the_vendors(
    ahead_s: int, verdict: str, said: str, account: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    date = email.utils.formatdate(time.time() - ahead_s, usegmt=True)
    with serving(answers(http(200, TOKEN, f"Date: {date}"))) as url:
        [clock] = found(capsys, job(tmp_path, url=url), code=1 if verdict == "fail" else 0)["clock"]
    assert clock["verdict"] == verdict
    assert said in clock["text"]


def test_api_key_is_not_tried_since_no_call_with_it_is_free(
    server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text(f"PATSNAP_API_KEY={SECRET}\n")
    (tmp_path / ".env").chmod(0o644)
    names = found(capsys, job(tmp_path, url=server.url, known=False), code=0)
    key, exposed = names["credentials"]
    assert key["text"] == f"an API key (35 characters), from {tmp_path}/.env"
    assert "chmod 600" in exposed["text"]
    assert names["token"][0]["verdict"] == "warn"
    assert server.stats.outcomes == {}


# --- the job ---


def test_faulty_job_is_a_finding_beside_those_of_the_machine(
    account: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "job.yaml").write_text(
        "version: 1\nname: a\nimages: [{url: 'https://h.example.com/1.jpg'}]\nserch: {}\n"
    )
    names = found(capsys, "job.yaml", code=1)
    assert "did you mean 'search'?" in names["job"][0]["text"]
    assert names["versions"][0]["verdict"] == "pass"


def test_local_pictures_are_opened_and_their_upload_must_be_allowed(
    account: None,
    server: SandboxServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "pics").mkdir()
    shutil.copy(resource("products") / "mug-0.jpg", tmp_path / "pics/a.jpg")
    (tmp_path / "pics/b.jpg").write_bytes(b"<html>")
    spec = f"version: 1\nname: a\nimages: [{{path: pics}}]\napi: {{base_url: '{server.url}'}}\n"
    (tmp_path / "job.yaml").write_text(spec)
    [pictures] = found(capsys, "job.yaml", code=0)["pictures"]  # a vendor on this machine may have them
    assert pictures["verdict"] == "warn"
    assert "1 of 2 rows cannot be used" in pictures["text"]
    assert run(shlex.split(pictures["fix"])[1:]) == 2
    for name in ACCOUNT:  # so that nobody asks the other vendor for a token
        monkeypatch.delenv(name)
    names = found(capsys, "job.yaml", "--set", "api.base_url=https://vendor.invalid", code=1)
    [upload] = names["upload"]
    assert upload["verdict"] == "fail"
    assert upload["text"].startswith("1 local picture: uploading makes a picture publicly reachable")
    (tmp_path / "job.yaml").write_text(f"{spec}{upload['fix']}\n")
    assert "upload" not in found(capsys, "job.yaml", "--set", "api.base_url=https://vendor.invalid", code=1)
    with_section = spec + "upload:\n  public: false\n  fit: true\n"
    (tmp_path / "job.yaml").write_text(with_section)
    [upload] = found(capsys, "job.yaml", "--set", "api.base_url=https://vendor.invalid", code=1)["upload"]
    (tmp_path / "job.yaml").write_text(with_section.replace("public: false", upload["fix"]))
    assert "upload" not in found(capsys, "job.yaml", "--set", "api.base_url=https://vendor.invalid", code=1)


@pytest.mark.proofs
def test_budget_that_is_too_small_and_a_run_under_way_are_said(
    account: None, server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = job(tmp_path, url=server.url, pictures=5, api={"budget": {"search_calls": 3}})
    assert "2 items would be left out" in found(capsys, path, code=0)["budget"][0]["text"]
    assert run(["run", str(path), "--quiet", "--set", "api.budget.search_calls=9"]) == 0
    names = found(capsys, path, "--set", "api.budget.search_calls=9", code=0)
    assert "a run would go on with it (5 tasked)" in names["run directory"][0]["text"]
    assert names["cost"][0]["text"] == "nothing would be paid"
    folder = tmp_path / "runs/job"
    with FileLock(folder / LOCK):
        [used] = found(capsys, path, "--set", "api.budget.search_calls=9", code=0)["run directory"]
    assert used["verdict"] == "warn"
    assert run(shlex.split(used["fix"])[1:]) == 0


@pytest.mark.proofs
def test_program_that_tells_how_a_run_ended_must_be_there_and_is_not_started(
    account: None, server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = job(tmp_path, url=server.url, notify={"command": ["./tell.sh", "all"]})
    assert "no program './tell.sh' is here" in found(capsys, path, code=0)["notify"][0]["text"]
    (tmp_path / "tell.sh").write_text("#!/bin/sh\ntouch told\n")
    (tmp_path / "tell.sh").chmod(0o700)
    assert found(capsys, path, code=0)["notify"][0]["verdict"] == "pass"
    assert not (tmp_path / "told").exists()
    assert found(capsys, path, "--set", "notify.command=[sh]", code=0)["notify"][0]["verdict"] == "pass"
    assert found(capsys, path, "--set", "notify.command=[no-such]", code=0)["notify"][0]["verdict"] == "warn"


def test_full_disk_and_a_place_that_cannot_be_written_fail(
    account: None,
    server: SandboxServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = job(tmp_path, url=server.url)
    monkeypatch.setattr("pipeline.journal.emergency.SPARE_BYTES", 1 << 60)
    [disk] = found(capsys, path, code=1)["disk"]
    assert "this job needs" in disk["text"]
    monkeypatch.undo()
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "file").write_text("x")
    [above] = found(capsys, path, "--set", f"output.dir={tmp_path / 'file' / 'runs'}", code=1)["job"]
    assert f"{tmp_path / 'file'} is no folder, and run directories lie in one" in above["text"]
    there = found(capsys, path, "--set", f"output.dir={tmp_path}", "--set", "output.run=file", code=1)
    assert "cannot be written" in there["run directory"][0]["text"]


@pytest.mark.proofs
def test_urls_on_the_sandbox_are_a_fault_that_the_named_command_mends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = job(tmp_path, url="sandbox", pictures=["https://cdn.example.com/1.jpg"])
    names = found(capsys, path, code=1)
    [fault] = [one for one in names["job"] if one["verdict"] == "fail"]
    assert names["credentials"][0]["verdict"] == "pass"
    assert run([*shlex.split(fault["fix"])[1:], "--quiet"]) == 0


# --- the time that a container has to stop ---


@pytest.mark.proofs
def test_grace_of_a_container_is_compared_with_what_a_stopped_run_needs(
    account: None,
    server: SandboxServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = job(tmp_path, url=server.url)
    monkeypatch.setattr("pipeline.cli.commands.doctor.is_contained", lambda _: True)
    [warned] = found(capsys, path, code=0)["grace"]
    assert warned["verdict"] == "warn"
    assert "needs up to 130 s" in warned["text"]
    assert "`terminationGracePeriodSeconds: 130`" in warned["text"]
    program, command, *arguments = shlex.split(warned["fix"])
    assert (program, command) == ("pipeline", "doctor")
    assert found(capsys, *arguments, code=0)["grace"][0]["verdict"] == "pass"
    assert found(capsys, path, "--grace", "30", code=1)["grace"][0]["verdict"] == "fail"
    shorter = ["--set", "api.drain_s=5", "--set", "api.timeout_s={create: 10, upload: 10}", "--grace", "30"]
    assert found(capsys, path, *shorter, code=0)["grace"][0]["verdict"] == "pass"

"""Faults of a run, its directory and its account: the line to type that each names is typed here, and mends it."""

import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from platformdirs import user_state_path

from pipeline.calls.account import account_of, use_account
from pipeline.cli.main import run
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.sandbox.server import SandboxServer
from tests.support.jobs import ACCOUNT, drawings, job, vendor
from tests.support.told import Told, faults_in

VALUES = {**ACCOUNT, "PATSNAP_API_KEY": "sandbox-key"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    """A vendor, for a command line whose current folder is the test's own."""
    monkeypatch.chdir(tmp_path)
    for name in VALUES:
        monkeypatch.delenv(name, raising=False)
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    with vendor(tmp_path) as server:
        yield server


def told(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2) -> Told:
    """The one fault that a command ends with."""
    capsys.readouterr()
    assert run([str(argument) for argument in arguments]) == code
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    [fault] = faults_in(err)
    return fault


def typed(fix: str) -> int:
    """Type a command of this program; return its exit code."""
    program, *arguments = shlex.split(fix)
    assert program == "pipeline"
    return run(arguments)


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        pytest.param({}, "no credentials", id="none"),
        pytest.param({"PATSNAP_CLIENT_ID": "sandbox"}, "PATSNAP_CLIENT_SECRET is missing", id="no secret"),
        pytest.param({"PATSNAP_CLIENT_SECRET": "sandbox-secret"}, "PATSNAP_CLIENT_ID is missing", id="no id"),
        pytest.param({"PATSNAP_API_KEY": "two words"}, "holds a space", id="a space"),
        pytest.param(ACCOUNT | {"PATSNAP_CLIENT_ID": "a:b"}, "holds a colon", id="a colon"),
    ],
)
def test_line_for_credentials_sets_those_that_are_wrong(
    there: dict[str, str],
    missing: str,
    server: SandboxServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job(tmp_path, url=server.url, pictures=1)
    for name in ACCOUNT:
        monkeypatch.delenv(name)
    for name, value in there.items():
        monkeypatch.setenv(name, value)
    fault = told(capsys, "run", "job.yaml", "-q")
    assert missing in f"{fault.at}: {fault.error}"
    assert not any(value in " ".join(fault) for value in ("sandbox-secret", "two words", "a:b")), "a secret is shown"
    export, *settings = shlex.split(fault.fix)
    assert export == "export"
    for setting in settings:
        name, _, word = setting.partition("=")
        assert word == name.replace("PATSNAP_", "YOUR_")
        monkeypatch.setenv(name, VALUES[name])
    assert run(["run", "job.yaml", "-q"]) == 0


@pytest.mark.proofs
def test_line_for_another_question_asks_it_for_what_is_not_paid(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=2)
    assert run(["run", "job.yaml", "-q", "--limit", "1"]) == 1
    job(tmp_path, url=server.url, pictures=2, search={"limit": 5}, task={"report_lang": "cn"})
    fault = told(capsys, "run", "job.yaml", "-q")
    assert fault.at == "search.limit, task.report_lang"
    assert 'search.limit was 3, is now 5; task.report_lang was "en", is now "cn"' in fault.error
    job(tmp_path, url=server.url, pictures=2, search={"depth": 300})
    assert "search.depth was not set, is now 300" in told(capsys, "run", "job.yaml", "-q").error
    job(tmp_path, url=server.url, pictures=2, search={"limit": 5}, task={"report_lang": "cn"})
    assert fault.fix == "pipeline run job.yaml -q --accept-changes"
    assert typed(fault.fix) == 0
    assert server.stats.calls("search") == server.stats.calls("create") == 2


@pytest.mark.proofs
def test_line_for_other_pictures_takes_them_for_what_is_not_paid(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = drawings(3)
    job(tmp_path, url=server.url, pictures=[first, second])
    assert run(["run", "job.yaml", "-q", "--limit", "1"]) == 1
    job(tmp_path, url=server.url, pictures=[third, second])
    fault = told(capsys, "run", "job.yaml", "-q")
    assert fault.at == "item 'P0000'"
    assert f"was {first}, is now {third}" in fault.error
    assert typed(fault.fix) == 0
    assert server.stats.calls("search") == 2


@pytest.mark.proofs
def test_line_for_another_vendor_starts_a_new_run(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=1)
    assert run(["run", "job.yaml", "-q"]) == 0
    job(tmp_path, url="sandbox", pictures=1)
    fault = told(capsys, "run", "job.yaml", "-q")
    assert (fault.at, fault.fix) == ("api.base_url", "pipeline run job.yaml -q --new")
    assert typed(fault.fix) == 0
    assert Path("runs/job.2/results.jsonl").is_file()


@pytest.mark.proofs
def test_line_for_a_run_that_goes_on_shows_where_it_stands(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=1)
    assert run(["run", "job.yaml", "-q"]) == 0
    with FileLock(tmp_path / "runs/job/lock"):
        fault = told(capsys, "run", "job.yaml", "-q", code=6)
        assert fault.error.startswith("in use by another process")
        assert fault.at == str(tmp_path / "runs/job")
        assert typed(fault.fix) == 0
        assert "running" in capsys.readouterr().out


def test_line_for_an_account_in_use_waits_for_it(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=1)
    account = account_of(server.url, Credentials(client_id="sandbox", client_secret="sandbox-secret"))
    folder = user_state_path("infringement-pipeline") / "accounts"
    with use_account(folder, account, job="other", say=lambda _: None):
        fault = told(capsys, "run", "job.yaml", "-q", code=6)
        assert "(job other)" in fault.error
    assert fault.fix == "pipeline run job.yaml -q --busy wait"
    assert typed(fault.fix) == 0


def test_line_for_too_small_a_share_takes_one_that_is_large_enough(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=1, api={"qps": 30})
    fault = told(capsys, "run", "job.yaml", "-q", "--share", "0.01")
    assert (fault.at, fault.fix) == ("--share 0.01", "pipeline run job.yaml -q --share 0.01 --share 0.04")
    assert typed(fault.fix) == 0


def test_line_for_a_wait_until_nobody_knows_when_says_when(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=1)
    fault = told(capsys, "run", "job.yaml", "-q", "--wait-quota")
    assert fault.at == "api.quota_resets_at"
    assert run(["run", "job.yaml", "-q", "--wait-quota", *shlex.split(fault.fix)]) == 0


@pytest.mark.proofs
def test_lines_for_wrong_words_of_retry_and_resolve(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=1)
    assert run(["run", "job.yaml", "-q"]) == 0
    assert typed(told(capsys, "retry", "runs/job", "--only", "faild").fix) == 0
    assert typed(told(capsys, "resolve", "runs/job").fix) == 0
    assert typed(told(capsys, "resolve", "runs/job", "--all", "created").fix) == 0
    assert typed(told(capsys, "resolve", "runs/job", "--all", "not_created").fix) == 0
    for wrong in ("nobody", "P0000"):
        capsys.readouterr()
        assert run(["resolve", "runs/job", "--retry", wrong]) == 2
        fault, nothing = faults_in(capsys.readouterr().err)
        assert (fault.at, nothing.error) == ("--retry", "nothing was applied")
        assert typed(fault.fix) == 0
    Path("d.csv").write_text("item;decision\n")
    fault = told(capsys, "resolve", "runs/job", "--from", "d.csv")
    assert fault.at == "d.csv:1"
    Path("d.csv").write_text(f"{fault.fix}\n")
    assert "nothing was decided" in told(capsys, "resolve", "runs/job", "--from", "d.csv").error


def smashed(folder: Path) -> None:
    journal = folder / "journal.sqlite"
    journal.write_bytes(b"no journal" * 1000)


def changed(folder: Path) -> None:
    lines = (folder / "results.jsonl").read_bytes()
    (folder / "results.jsonl").write_bytes(lines.replace(b"tasked", b"taskee"))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "journal smashed": smashed,
    "journal gone": lambda folder: (folder / "journal.sqlite").unlink(),
    "results changed": changed,
    "results shortened": lambda folder: (folder / "results.jsonl").write_bytes(b""),
    "repair cut short": lambda folder: (folder / ".repairing").touch(),
}


@pytest.mark.proofs
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    "command", [("run", "job.yaml", "-q"), ("plan", "job.yaml"), ("status", "runs/job", "--verify")]
)
def test_line_for_a_damaged_run_directory_makes_it_usable(
    damage: str,
    command: tuple[str, ...],
    server: SandboxServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job(tmp_path, url=server.url, pictures=2, output={"dir": "my runs"})
    command = tuple(word.replace("runs/", "my runs/") for word in command)
    assert run(["run", "job.yaml", "-q"]) == 0
    DAMAGE[damage](tmp_path / "my runs/job")
    if damage == "repair cut short" and command[0] == "status":
        pytest.skip("a journal that is whole is shown")
    fault = told(capsys, *command, code=5)
    assert fault.at.startswith(("my runs/job", str(tmp_path / "my runs/job")))
    assert typed(fault.fix) == 0
    assert run(["status", "my runs/job", "--verify"]) == 0
    assert run(["run", "job.yaml", "-q"]) in (0, 1)


@pytest.mark.proofs
def test_line_for_a_copy_makes_it_the_one_to_go_on_with(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=1)
    assert run(["run", "job.yaml", "-q"]) == 0
    shutil.copytree("runs/job", "copy")
    fault = told(capsys, "report", "copy", code=5)
    assert fault.at == "copy"
    assert typed(fault.fix) == 0
    assert run(["report", "copy"]) == 0


def test_line_for_a_link_in_a_run_directory_removes_the_link_alone(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=1)
    Path("victim").write_text("precious")
    Path("runs/job").mkdir(parents=True)
    Path("runs/job/report.html").symlink_to(tmp_path / "victim")
    fault = told(capsys, "run", "job.yaml", "-q", code=5)
    assert fault.at == str(tmp_path / "runs/job/report.html")
    subprocess.run(["sh", "-c", fault.fix], check=True)
    assert run(["run", "job.yaml", "-q"]) == 0
    assert Path("victim").read_text() == "precious"


@pytest.mark.parametrize(
    ("header", "entry"),
    [
        ("SKU,Image link", "- manifest: p.csv"),
        ("SKU,\u56fe\u7247", "- manifest: p.csv"),
        ("id,Links", "- manifest: p.csv\n    columns: {url: Link}"),
        ("item_id,url,family", "- manifest: p.csv\n    columns: {id: itemid, labels: [Family]}"),
    ],
)
def test_line_for_a_header_names_the_columns(
    header: str, entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = "A,https://sandbox.invalid/gallery/bag-0-1.png" + ",x" * (header.count(",") - 1)
    Path("p.csv").write_text(f"{header}\n{cells}\n", encoding="utf-8")
    text = "version: 1\nname: good\napi: {{base_url: sandbox}}\nimages:\n  {}\n"
    Path("job.yaml").write_text(text.format(entry))
    fault = told(capsys, "check", "job.yaml")
    assert fault.at == f"{tmp_path / 'p.csv'}:1:1"
    Path("job.yaml").write_text(text.format(f"- manifest: p.csv\n    {fault.fix}"), encoding="utf-8")
    assert run(["check", "job.yaml"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("entry", ["url: 'ftp://h.example/{}.jpg'", "path: photos/{}.jpg", "path: ../{}.jpg"])
def test_equal_faults_of_inline_images_are_told_once_with_their_number(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    upload = "upload: {public: true}\n" if ".." in entry else ""
    images = "".join(f"  - {entry.format(number)}\n" for number in range(300))
    Path("job.yaml").write_text(f"version: 1\nname: good\n{upload}images:\n{images}")
    assert told(capsys, "check", "job.yaml").at.endswith(" (the first of 300 faults like this)")

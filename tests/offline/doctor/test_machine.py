"""The machine as the doctor finds it, where something about it is not as it should be."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.job.api import ApiSpec
from pipeline.offline.doctor import machine as room
from pipeline.offline.doctor.finding import Finding, Verdict
from pipeline.offline.doctor.machine import installed_extras, is_contained, machine, needed_grace_s


def found(name: str) -> Finding:
    """The one finding of a name."""
    [finding] = [finding for finding in machine(ApiSpec(), contained=False) if finding.name == name]
    return finding


def test_python_that_nobody_tried_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("versions").verdict is Verdict.PASS
    monkeypatch.setattr(room, "_PYTHONS", ((3, 1), (3, 2)))
    assert found("versions").verdict is Verdict.WARN
    assert "tried with Python 3.1 to 3.2" in found("versions").text


def test_extras_are_named_with_the_line_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy<3,>=2; extra == 'sandbox'", "no-such-library>=1; extra == 'heic'", 'mypy; extra == "test"']
    monkeypatch.setattr("importlib.metadata.requires", lambda _: [*wanted, "aiohttp>=3"])
    assert installed_extras() == (["sandbox"], ["heic"])
    assert found("extras").text.endswith("not installed: heic (pip install 'infringement-pipeline[heic]')")


def test_program_that_is_not_installed_has_no_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.requires", missing)
    assert found("extras").text == "installed: none"


def test_letters_other_than_utf_8_are_said_and_the_line_for_them_mends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    letters = found("letters")
    assert letters.verdict is Verdict.WARN
    ask = f"{sys.executable} -c 'import sys; print(sys.getfilesystemencoding())'"
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    said = subprocess.run(f"{letters.fix} && {ask}", shell=True, capture_output=True, text=True, env=bare, timeout=60)
    assert said.stdout.strip() == "utf-8"


def test_state_folder_that_cannot_be_made_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert found("state folder").verdict is Verdict.PASS
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(room, "state_folder", lambda: tmp_path / "file" / "state")
    assert "it is no folder" in found("state folder").text
    assert found("state folder").verdict is Verdict.FAIL
    monkeypatch.setattr(room, "state_folder", lambda: None)
    assert "set HOME or XDG_STATE_HOME" in found("state folder").text
    monkeypatch.setattr(room, "cache_folder", lambda: None)
    assert found("cache folder").verdict is Verdict.WARN


def test_state_folder_on_a_network_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "network_file_system", lambda _: "nfs4")
    assert "lies on a network (nfs4)" in found("state folder").text


@pytest.mark.parametrize(("limit", "verdict"), [(None, Verdict.PASS), (65_536, Verdict.PASS), (256, Verdict.WARN)])
def test_few_open_files_are_said(limit: int | None, verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "limit_of_files", lambda: limit)
    assert found("open files").verdict is verdict


def test_container_is_known_by_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_read", lambda _: "0::/init.scope\n")
    nowhere = (tmp_path / "none",)
    assert not is_contained({}, marks=nowhere)
    assert is_contained({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, marks=nowhere)
    assert is_contained({"container": "podman"}, marks=nowhere)
    assert is_contained({}, marks=(tmp_path,))
    monkeypatch.setattr(room, "_read", lambda _: "0::/kubepods/besteffort/pod1\n")
    assert is_contained({}, marks=nowhere)


def test_grace_follows_the_drain_and_the_longest_answer_of_a_job() -> None:
    assert needed_grace_s(ApiSpec()) == 130
    assert needed_grace_s(ApiSpec.model_validate({"drain_s": 20, "timeout_s": {"create": 30, "upload": 25}})) == 60

"""The page of first steps: its list gives what it shows, and its commands run."""

import re
import shlex
from pathlib import Path

import pytest

from pipeline.cli.main import run

PAGE = (Path(__file__).parents[2] / "docs" / "first-steps.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    [found] = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.mark.proofs
def test_list_on_the_page_gives_the_answer_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spring.csv").write_text(block("csv"))
    assert run(["init", "spring.csv"]) == 0
    answer = block("text")
    assert capsys.readouterr().out == answer
    check, rehearse, _ = (shlex.split(line, comments=True)[1:] for line in answer.splitlines()[-3:])
    assert run(check) == 0
    assert run([*rehearse, "--quiet", "--set", "api.qps=50"]) == 0


@pytest.mark.proofs
def test_pictures_of_your_own_go_the_way_that_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], product: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "bag.jpg").write_bytes(product)
    assert run(["init", "photos"]) == 0
    first, rehearse, _ = (line.split("  #")[0].strip() for line in capsys.readouterr().out.splitlines()[-3:])
    assert first == block("sh").strip()
    assert run(first.split()[1:]) == 0
    assert "for each URL" not in capsys.readouterr().out
    assert run([*rehearse.split()[1:], "--quiet"]) == 0
    assert run(["check", "job.yaml"]) == 2
    assert "upload: {public: true}" in capsys.readouterr().err
    job = tmp_path / "job.yaml"
    job.write_text(job.read_text(encoding="utf-8").replace("public: false", "public: true"), encoding="utf-8")
    assert run(["check", "job.yaml"]) == 0


def test_every_finding_that_the_page_names_is_one_of_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spring.csv").write_text(block("csv"))
    assert run(["init"]) == 0
    capsys.readouterr()
    run(["doctor", "job.yaml"])
    told = {
        line[6:].split("  ")[0] for line in capsys.readouterr().out.splitlines() if line[:4] in ("pass", "warn", "fail")
    }
    rows = re.findall(r"^\| ([a-z, ]+) \|", PAGE.partition("## `pipeline doctor`")[2], re.MULTILINE)
    named = {name for row in rows if row != "finding" for name in row.split(", ")}
    assert told <= named
    # Without credentials, local pictures and a program that tells of ends there is nothing to say of these.
    assert named - told <= {"token", "clock", "upload", "notify"}

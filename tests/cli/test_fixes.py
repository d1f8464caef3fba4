"""Faults on the screen: what is wrong, where, and a line to type; each such line is typed here, and mends its fault."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli.errors import explain
from pipeline.cli.main import run
from pipeline.errors import SpecError
from pipeline.sandbox.resources import resource
from pipeline.system.fault import Fault, Gathered

URL = "https://sandbox.invalid/gallery/bag-0-1.png"
LINES = {
    "version": "version: 1",
    "name": "name: good",
    "images": f"images:\n  - url: {URL}",
    "api": "api:\n  base_url: sandbox",
}


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str, str]:
    """What `error:`, `at:` and `fix:` say of the one fault."""
    assert run([*arguments]) == 2
    error, at, fix = capsys.readouterr().err.splitlines()
    assert (error[:7], at[:6], fix[:7]) == ("error: ", "  at: ", "  fix: ")
    return error[7:], at[6:], fix[7:]


@pytest.mark.parametrize(
    ("part", "text"),
    [
        pytest.param("search", "search:\n  limt: 20", id="key"),
        pytest.param("task", "task:\n  report_langs: en", id="key of a text"),
        pytest.param("task", "task:\n  report_lang: EN", id="word"),
        pytest.param("api", 'api:\n  base_url: sandbox\n  qps: "5"', id="number in quotes"),
        pytest.param("search", "search:\n  filters:\n    apply_start_time: 2024-01-01", id="date"),
        pytest.param("images", "images:\n  - id: 1001\n    url: " + URL, id="id that is a number"),
        pytest.param("images", f"images:\n  - {URL}", id="a bare URL"),
    ],
)
def test_line_for_a_job_file_mends_the_line_that_is_named(
    part: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("job.yaml").write_text("\n".join((LINES | {part: text}).values()) + "\n")
    _, at, fix = told(capsys, "check", "job.yaml")
    place = re.fullmatch(r"job\.yaml:(\d+):(\d+)", at)
    assert place is not None
    lines = Path("job.yaml").read_text().splitlines()
    number = int(place[1]) - 1
    indent = re.match(r" *(- )?(?=[\w\"])" if not fix.startswith("- ") else r" *", lines[number])
    assert indent is not None
    lines[number] = indent[0] + fix
    Path("job.yaml").write_text("\n".join(lines) + "\n")
    assert run(["check", "job.yaml"]) == 0


def test_line_for_a_source_mends_its_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos/a.jpg").write_bytes((resource("products") / "mug-0.jpg").read_bytes())
    Image.open("photos/a.jpg").save("photos/b.webp")
    good = "version: 1\nname: good\nimages:\n  {}\n"

    Path("job.yaml").write_text(good.format("- path: photos/") + "api: {base_url: sandbox}\n")
    assert run(["check", "job.yaml"]) == 2
    _, error, at, fix = capsys.readouterr().err.splitlines()  # the first is a note: how many pictures it mends
    assert error.startswith("error: the picture is WebP")
    assert at == "  at: job.yaml: images[0]: photos/b.webp"
    fix = fix.removeprefix("  fix: ")
    Path("job.yaml").write_text(good.format("- path: photos/") + "api: {base_url: sandbox}\n" + fix + "\n")
    assert run(["check", "job.yaml"]) == 0

    Path("job.yaml").write_text(good.format("- path: photos/a.jpg"))
    capsys.readouterr()
    error, _, public = told(capsys, "check", "job.yaml")
    assert "publicly reachable" in error
    Path("job.yaml").write_text(good.format("- path: photos/a.jpg") + public + "\n")
    assert run(["check", "job.yaml"]) == 0

    for header, cell in (("url", "photos/a.jpg"), ("path", URL)):
        Path("p.csv").write_text(f"id,{header}\nA,{cell}\n")
        Path("job.yaml").write_text(good.format("- manifest: p.csv") + "api: {base_url: sandbox}\n")
        _, at, columns = told(capsys, "check", "job.yaml")
        assert at == "job.yaml: p.csv:2"
        Path("job.yaml").write_text(good.format(f"- manifest: p.csv\n    {columns}") + "api: {base_url: sandbox}\n")
        capsys.readouterr()
        assert run(["check", "job.yaml"]) == 0, capsys.readouterr().err


@pytest.mark.proofs
def test_command_that_is_named_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my job.yaml").write_text(
        "version: 1\nname: good\nimages: [{url: 'https://cdn.example.com/1.jpg'}]\napi: {base_url: sandbox}\n"
    )
    _, at, fix = told(capsys, "check", "my job.yaml")
    assert at == "images[0]: https://cdn.example.com/1.jpg"
    assert run([*shlex.split(fix)[1:], "-q"]) == 0
    Path("my job.yaml").write_text("\n".join(LINES.values()))
    capsys.readouterr()
    _, _, override = told(capsys, "check", "my job.yaml", "--set", "search.limt=20")
    assert run(["check", "my job.yaml", *shlex.split(override)]) == 0


def test_equal_faults_are_told_once_with_their_number_and_the_first_place(capsys: pytest.CaptureFixture[str]) -> None:
    faults = Gathered()
    for number in range(300):
        faults.add(Fault(f"the id {number!r} has a value {str(number)!r}", where=f"p.csv:{number + 2}", fix="x"))
    faults.add(Fault("another", where="q.csv:1"))
    assert explain(SpecError(*faults.lines(9))) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: the id 0 has a value '0'",
        "  at: p.csv:2 (the first of 300 faults like this)",
        "  fix: x",
        "error: another",
        "  at: q.csv:1",
    ]
    assert faults.lines(1)[1:] == ["... and 1 more"]


@pytest.mark.parametrize(("value", "said"), [("'5'", "'5': must be a number"), ("[1]", "a list: must be a number")])
def test_value_of_several_kinds_is_named_once_with_what_it_must_be(
    value: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "job.yaml").write_text("\n".join((LINES | {"api": f"api:\n  qps: {value}"}).values()))
    assert run(["check", str(tmp_path / "job.yaml")]) == 2
    assert said in capsys.readouterr().err


def test_place_of_a_row_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text("id,path\nA,../a.jpg\n")
    Path("job.yaml").write_text("\n".join((LINES | {"images": "images: [{manifest: p.csv}]"}).values()))
    assert run(["check", "job.yaml"]) == 2
    assert capsys.readouterr().err.count("p.csv:2") == 1

"""Surroundings that are not what they mostly are: each simply works, or is one line with what to do; none is a bug."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.jobs import ACCOUNT, drawings, job, lines, pipeline, vendor
from tests.support.told import faults_in

PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0"}
# As for a user whom the system does not know.
NOBODY = "import pwd\ndef gone(uid): raise KeyError(uid)\npwd.getpwuid = gone\ncli.main()"


def one(folder: Path, **parts: object) -> Path:
    return job(folder, url="sandbox", pictures=drawings(1), **parts)


@pytest.mark.proofs
def test_a_locale_that_is_not_utf8_knows_names_of_every_language(tmp_path: Path) -> None:
    folder = tmp_path / "图片目录"
    folder.mkdir()
    one(folder, output={"dir": "结果"})
    (folder / "list.csv").write_text(f"id,url\n产品-é,{drawings(1)[0]}\n", encoding="utf-8")
    done = pipeline("run", "图片目录/job.yaml", "--json", "-q", cwd=tmp_path, **PLAIN)
    assert (done.returncode, done.stderr) == (0, "")
    assert "结果" in json.loads(done.stdout)["results"]
    assert [record["item"] for record in lines(folder / "结果/job/results.jsonl")] == ["产品-é"]


@pytest.mark.proofs
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_folder_whose_name_is_no_text_is_named_with_what_to_do(tmp_path: Path, command: str) -> None:
    folder = tmp_path / os.fsdecode(b"gbk-\xd6\xd0")
    folder.mkdir()
    done = pipeline(command, one(folder), cwd=tmp_path)
    assert (done.returncode, len(faults_in(done.stderr))) == (2, 1)
    assert "no UTF-8 text; rename it" in done.stderr
    assert not (folder / "runs").exists()


@pytest.mark.proofs
@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        pytest.param("PATSNAP_API_KEY=abcdefgh\n".encode("utf-16"), 0, "", id="UTF-16"),
        pytest.param(b"\xef\xbb\xbfPATSNAP_API_KEY=abcdefgh\n", 0, "", id="UTF-8 with a mark"),
        pytest.param(
            b"A=b\n# cl\xe9\nPATSNAP_API_KEY=abcdefgh\n",
            2,
            "not UTF-8 text; save the file as UTF-8\n  at: ",
            id="Latin-1",
        ),
        pytest.param("A=b\n".encode("utf-16-le"), 2, "not UTF-8 text (it has NUL characters); save", id="no mark"),
    ],
)
def test_an_env_file_in_another_encoding_is_read_or_named(tmp_path: Path, data: bytes, code: int, said: str) -> None:
    (tmp_path / ".env").write_bytes(data)
    (tmp_path / ".env").chmod(0o600)
    done = pipeline("check", one(tmp_path), cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert len(faults_in(done.stderr)) == bool(said)
    assert "abcdefgh" not in done.stderr


@pytest.mark.proofs
def test_an_env_file_that_cannot_be_read_is_named_without_talk_of_a_journal(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=b\n")
    code = """
from pathlib import Path
read = Path.read_bytes

def reading(path):
    if path.name == ".env":
        raise PermissionError(13, "Permission denied", str(path))
    return read(path)

Path.read_bytes = reading
cli.main()
"""
    done = pipeline("run", one(tmp_path), cwd=tmp_path, code=code)
    assert (done.returncode, len(faults_in(done.stderr))) == (2, 1)
    assert faults_in(done.stderr)[0].error.startswith("cannot be read: Permission denied")
    assert "journal" not in done.stderr


@pytest.mark.proofs
def test_a_user_without_a_home_runs_on_the_sandbox_and_is_told_what_the_vendor_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = job(tmp_path, url="http://127.0.0.1:9", pictures=1)
    monkeypatch.delenv("XDG_STATE_HOME")
    account = {"PATSNAP_API_KEY": "abcdefgh", "HOME": ""}
    done = pipeline("run", path, cwd=tmp_path, code=NOBODY, **account)
    [told] = faults_in(done.stderr)
    assert (done.returncode, "set HOME or XDG_STATE_HOME" in told.error) == (5, True)
    assert not (tmp_path / "runs").exists()
    typed = ["sh", "-c", f'{told.fix}; printf %s "$XDG_STATE_HOME"']
    state = subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    done = pipeline(
        "run", path, "--set", "api.patience_s=0.1", cwd=tmp_path, code=NOBODY, XDG_STATE_HOME=state, **account
    )
    assert done.returncode == 4, "it goes as far as the vendor, and there is none"
    shutil.rmtree(state)
    shutil.rmtree(tmp_path / "runs")
    done = pipeline("run", one(tmp_path), "-q", cwd=tmp_path, code=NOBODY, **account)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["job.yaml", "list.csv", "runs"]


@pytest.mark.proofs
def test_quiet_keeps_its_notes_for_a_run_that_fails(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=b\n")
    (tmp_path / ".env").chmod(0o644)
    path = job(tmp_path, url="http://127.0.0.1:9", pictures=2, api={"patience_s": 0.1})
    account = {"PATSNAP_API_KEY": "abcdefgh"}
    done = pipeline("run", path, "-q", cwd=tmp_path, **account)
    assert done.returncode == 4
    assert done.stderr.startswith("note: ")
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2, name="other")
        done = pipeline("run", path, "-q", cwd=tmp_path, **ACCOUNT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

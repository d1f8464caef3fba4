"""`pipeline export` and `pipeline decisions` on real run directories: of one client, beside a run, after a kill."""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openpyxl
import pypdf
import pytest
from pyarrow import parquet

from pipeline.cli import main as cli
from tests.support.exported import NASTY
from tests.support.jobs import ACCOUNT, job, pipeline, started, vendor
from tests.support.processes import ended, until_lines
from tests.support.report_records import record
from tests.support.told import faults_in

pytestmark = pytest.mark.proofs

ROOT = Path(__file__).parent.parent.parent
ITEMS = {"00042": "acme", "A-2": "acme", "glob-1": "globex", "glob-2": "globex", "torn": "globex"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on the sandbox: two clients, one bad picture, decisions."""
    folder = tmp_path_factory.mktemp("ran")
    pictures = sorted((ROOT / "samples" / "products").glob("*.jpg"))
    rows = ["id,path,brand,of_globex,market"]
    for (item, client), picture in zip(ITEMS.items(), pictures, strict=False):
        name = f"{item}-{client}.jpg"
        shutil.copyfile(picture, folder / name)
        rows.append(f"{item},{name},{client},{'globex secret' if client == 'globex' else ''},EU")
    (folder / "torn-globex.jpg").write_bytes(b"globex is no picture")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    images = {"manifest": "list.csv", "columns": {"labels": ["brand", "of_globex", "market"]}}
    path = job(folder, url="sandbox", images=[images], details={"top": 2, "above": 0}, report={"client_label": "brand"})
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    done = pipeline("run", path, "-q", cwd=folder)
    assert done.returncode == 1, done.stderr
    text = "item,patent_pn,decision,by,at,note\nglob-1,GLOBEX,watch,globex person,2026-11-01,globex note\n"
    (folder / "decisions.csv").write_text(text)
    return folder


@pytest.fixture
def folder(ran: Path, tmp_path: Path) -> Path:
    """The same, and a place of the test's own for what is exported."""
    (ran / "decisions.csv").write_text((ran / "decisions.csv").read_text().split("\n00042")[0])
    return tmp_path


class Done(NamedTuple):
    """The outcome of a command."""

    returncode: int
    stdout: str
    stderr: str


def here(*arguments: str | Path, cwd: Path) -> Done:
    """Run the command line in this process, from another folder."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="", write_through=True) for _ in range(2))
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run([str(one) for one in arguments])
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return Done(code, *texts)


def export(ran: Path, folder: Path, *options: str | Path) -> list[str]:
    done = here("export", ran / "runs" / "job", *options, cwd=folder)
    if "no font that has them is installed here" in done.stderr:
        pytest.skip("needs a Chinese font, which .ci/run installs")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def sheet(path: Path, name: str = "Products") -> list[dict[str, Any]]:
    header, *found = openpyxl.load_workbook(path)[name].values
    return [dict(zip(header, row, strict=True)) for row in found]


def test_a_workbook_has_every_product_with_pictures_and_says_where_it_is(ran: Path, folder: Path) -> None:
    said = export(ran, folder, "--to", "xlsx")
    assert said[1] == "look at: job.xlsx"
    assert "the run had come to its end; 5 products and " in said[0]
    found = sheet(folder / "job.xlsx")
    assert {row["Item"]: row["Status"] for row in found} == {**dict.fromkeys(ITEMS, "tasked"), "torn": "failed"}
    assert [row["Item"] for row in found][-1] == "torn"
    assert found[-1]["Reason"]
    assert found[0]["Owner"]
    with zipfile.ZipFile(folder / "job.xlsx") as archive:
        assert archive.read("xl/worksheets/sheet1.xml").count(b' vm="') == 8
    assert (folder / "job.xlsx").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_is_replaced_only_by_force(ran: Path, folder: Path) -> None:
    export(ran, folder, "--to", "csv")
    before = (folder / "job.csv").read_bytes()
    (folder / "job.csv").write_bytes(b"decisions of a person")
    done = here("export", ran / "runs" / "job", "--to", "csv", cwd=folder)
    [told] = faults_in(done.stderr)
    assert (done.returncode, told.at) == (2, "job.csv")
    assert told.fix.endswith("--to csv --force")
    assert (folder / "job.csv").read_bytes() == b"decisions of a person"
    export(ran, folder, "--to", "csv", "--force")
    assert (folder / "job.csv").read_bytes() == before


KEPT = ["results.jsonl", "journal.sqlite", "spec.yaml", "summary.json", "../../job.yaml", "../../list.csv"]
KEPT += ["../../decisions.csv", "../../00042-acme.jpg"]


@pytest.mark.parametrize("name", KEPT)
def test_what_is_paid_and_what_the_job_reads_is_never_replaced(ran: Path, folder: Path, name: str) -> None:
    file = ran / "runs" / "job" / name
    before = file.read_bytes()
    asked = [["--to", "csv", "-o", file], ["--to", "jsonl", "-o", file], ["--merge", file]]
    for options in asked:
        done = here("export", ran / "runs" / "job", *options, "--force", cwd=folder)
        [told] = faults_in(done.stderr)
        assert (done.returncode, told.at, told.fix) == (2, str(file), "")
    assert file.read_bytes() == before


def test_results_that_lie_alone_are_not_replaced_by_their_own_export(ran: Path, folder: Path) -> None:
    (folder / "alone").mkdir()
    file = Path(shutil.copy(ran / "runs" / "job" / "results.jsonl", folder / "alone"))
    done = here("export", file.parent, "--to", "jsonl", "-o", file, "--force", cwd=folder)
    assert (done.returncode, "is never replaced" in done.stderr) == (2, True)


def test_an_export_beside_a_job_called_as_a_run_calls_its_own_is_replaced(ran: Path, folder: Path) -> None:
    (folder / "spec.yaml").touch()
    export(ran, folder, "--to", "jsonl")
    [made] = folder.glob("*.jsonl")
    before = made.read_bytes()
    made.write_bytes(b"old")
    export(ran, folder, "--to", "jsonl", "--force")
    assert made.read_bytes() == before


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_what_is_no_ordinary_file_is_never_replaced(ran: Path, folder: Path, kind: str) -> None:
    """A pipe stands here for a device, such as /dev/null."""
    file = folder / "all.csv"
    os.mkfifo(file) if kind == "pipe" else file.symlink_to(folder / "elsewhere.csv")
    for force in ([], ["--force"]):
        done = here("export", ran / "runs" / "job", "--to", "csv", "-o", file, *force, cwd=folder)
        assert (done.returncode, "is not replaced" in done.stderr) == (2, True)
    assert not file.is_file()


def test_records_that_are_cut_short_are_neither_exported_nor_packed(ran: Path, folder: Path) -> None:
    run = shutil.copytree(ran / "runs" / "job", folder / "job")
    lines = (run / "results.jsonl").read_bytes().splitlines(keepends=True)
    for left in (b"".join(lines[:-1]), b"".join(lines)[:-1]):
        (run / "results.jsonl").write_bytes(left)
        for command in (["export", run, "--to", "csv"], ["export", run, "--to", "jsonl", "-o", "-"], ["pack", run]):
            done = here(*command, cwd=folder)
            [told] = faults_in(done.stderr)
            assert (done.returncode, told.at, done.stdout) == (5, str(run / "results.jsonl"), "")


def test_csv_into_a_pipe_that_is_closed_is_no_bug(ran: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "pipeline", "export", ran / "runs" / "job", "--to", "csv", "-o", "-"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def texts_of(path: Path) -> Iterator[bytes]:
    """Every byte of a file, packed and unpacked."""
    yield path.read_bytes()
    if path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name.encode() + archive.read(name)
    if path.suffix == ".parquet":
        file = parquet.ParquetFile(path)
        yield json.dumps(
            [str(file.metadata), str(file.schema_arrow.metadata), file.read().to_pylist()], default=str
        ).encode()
    if path.suffix == ".pdf":
        yield text_of(path).encode()
        reader = pypdf.PdfReader(path)
        for number in range(1, len(reader.xref[0]) + 1):
            found = reader.get_object(pypdf.generic.IndirectObject(number, 0, reader))
            yield repr(found).encode() + (found.get_data() if isinstance(found, pypdf.generic.StreamObject) else b"")


def text_of(path: Path) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


@pytest.mark.parametrize("to", ["xlsx", "csv", "parquet", "jsonl", "pdf"])
@pytest.mark.parametrize("per", ["product", "hit"])
def test_a_file_for_one_client_holds_nothing_of_another(ran: Path, folder: Path, to: str, per: str) -> None:
    said = export(ran, folder, "--to", to, "--per", per, "--client", "acme", "-o", f"out.{to}")
    assert ("hits" if per == "hit" and to != "pdf" else "2 products") in said[0]
    for text in texts_of(folder / f"out.{to}"):
        lowered = text.lower()
        for word in (b"globex", b"glob-1", b"torn", str(ran).encode().lower(), b"pipeline-", b"/tmp/"):
            assert word not in lowered.replace(b"infringement-pipeline ", b"")
    whole = export(ran, folder, "--to", to, "--per", per, "-o", f"whole.{to}")
    assert any(b"globex" in text for text in texts_of(folder / f"whole.{to}")), whole


def test_scores_statuses_and_stdout(ran: Path, folder: Path) -> None:
    done = here("export", ran, "--to", "jsonl", "-o", "-", cwd=folder)
    assert done.returncode == 2
    run = ran / "runs" / "job"
    done = here("export", run, "--to", "jsonl", "--per", "hit", "--min", "0.5", "--top", "2", "-o", "-", cwd=folder)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["place"] for one in found} == {1, 2}
    assert min(one["score"] for one in found) >= 0.5
    done = here("export", ran / "job.yaml", "--to", "csv", "--status", "failed", "-o", "-", cwd=folder)
    [row] = csv.DictReader(done.stdout.removeprefix("\ufeff").splitlines())
    assert (row["item"], row["vendor"]) == ("torn", "sandbox")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        (["--to", "exel"], "--to csv"),
        (["--to", "csv", "--client", "Globex"], "--client globex"),
        (["--to", "csv", "--per", "hits"], "--per hit"),
        (["--to", "xlsx", "--pictures", "floating"], "--pictures float"),
        (["--to", "parquet", "-o", "-"], "--output export.parquet"),
    ],
)
def test_a_wrong_word_is_told_with_the_right_one(ran: Path, folder: Path, options: list[str], fix: str) -> None:
    done = here("export", ran / "runs" / "job", *options, cwd=folder)
    [told] = faults_in(done.stderr)
    assert (done.returncode, done.stdout) == (2, "")
    assert told.fix.endswith(fix) or options == ["--to", "exel"]


def test_a_wrong_status_is_told_with_the_right_one_and_no_further_option(ran: Path, folder: Path) -> None:
    done = here("export", ran / "runs" / "job", "--to", "csv", "--status", "task", cwd=folder)
    [told] = faults_in(done.stderr)
    assert (done.returncode, told.fix) == (2, "")
    assert told.error.endswith("; did you mean 'tasked'?")


@pytest.mark.parametrize(
    ("to", "library", "extra"),
    [("xlsx", "xlsxwriter", "export"), ("parquet", "pyarrow", "parquet"), ("pdf", "typst", "pdf")],
)
def test_a_missing_library_is_one_line_with_the_command(
    ran: Path, folder: Path, to: str, library: str, extra: str
) -> None:
    code = f"sys.modules[{library!r}] = None\nsys.exit(cli.run())"
    done = pipeline("export", ran / "runs" / "job", "--to", to, cwd=folder, code=code)
    [told] = faults_in(done.stderr)
    assert (done.returncode, told.fix) == (2, f"pip install 'infringement-pipeline[{extra}]'")
    assert told.error == f"{library} is not installed, and {to} is written with it"
    assert list(folder.iterdir()) == []


def decide(path: Path, *decided: tuple[str, str, str], sheet: str = "Products") -> None:
    """Choose decisions in a workbook, as a person does: (item, decision, note)."""
    book = openpyxl.load_workbook(path)
    header = [cell.value for cell in book[sheet][1]]
    for item, decision, note in decided:
        row = next(row for row in book[sheet].iter_rows(min_row=2) if row[header.index("Item")].value == item)
        row[header.index("Decision")].value = decision or None
        row[header.index("Note")].value = note or None
    book.save(path)


def decisions(ran: Path, folder: Path, *more: str) -> list[str]:
    done = here("decisions", ran / "runs" / "job", *more, cwd=folder)
    assert done.returncode == 0, done.stderr
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


def test_decisions_chosen_in_a_workbook_come_back_into_the_next_one(ran: Path, folder: Path) -> None:
    export(ran, folder, "--to", "xlsx")
    decide(folder / "job.xlsx", ("00042", "escalate", "-5 years"), ("A-2", "Dismiss", ""))
    [said] = decisions(ran, folder, "job.xlsx", "--by", "ann")
    assert said.endswith(
        "decisions.csv: 2 changes: 1 escalate and 1 dismiss; 3 decisions stand: 1 watch, 1 escalate and 1 dismiss"
    )
    found = {row["item"]: row for row in rows(ran / "decisions.csv")}
    assert (found["00042"]["decision"], found["00042"]["note"]) == ("escalate", "'-5 years")
    assert (found["00042"]["by"], found["00042"]["run"], found["glob-1"]["by"]) == ("ann", "job", "globex person")
    assert decisions(ran, folder, "job.xlsx")[0].split("; ")[0].endswith("0 changes")
    export(ran, folder, "--to", "xlsx", "--force")
    row = next(row for row in sheet(folder / "job.xlsx") if row["Item"] == "00042")
    assert (row["Decision"], row["Note"], row["Decided by"]) == ("escalate", "-5 years", "ann")
    decide(folder / "job.xlsx", ("00042", "", ""))
    assert "1 without a decision" in decisions(ran, folder, "job.xlsx")[0]
    assert decisions(ran, folder)[0].endswith("2 decisions stand: 1 watch and 1 dismiss")


def test_two_rows_of_a_workbook_that_say_different_things_are_refused(ran: Path, folder: Path) -> None:
    export(ran, folder, "--to", "xlsx")
    decide(folder / "job.xlsx", ("00042", "watch", ""))
    decide(folder / "job.xlsx", ("00042", "dismiss", ""), sheet="Hits")
    before = (ran / "decisions.csv").read_bytes()
    done = here("decisions", ran / "runs" / "job", "job.xlsx", cwd=folder)
    assert done.returncode == 2
    assert "two rows say different things ('watch' and 'dismiss')" in done.stderr
    assert (ran / "decisions.csv").read_bytes() == before


def test_zeros_that_a_spreadsheet_took_are_given_back_and_strangers_are_named(ran: Path, folder: Path) -> None:
    (folder / "mine.csv").write_text("item;patent_pn;decision\n42;X1;watch\nNobody;X2;dismiss\n")
    said = decisions(ran, folder, "mine.csv")
    assert "1 id had lost zeros to a spreadsheet: 42 is 00042" in said
    assert "1 product is not in this run, and decided about all the same: Nobody" in said
    assert {"00042", "Nobody"} <= {row["item"] for row in rows(ran / "decisions.csv")}


def test_an_older_decision_changes_nothing_and_is_told(ran: Path, folder: Path) -> None:
    (folder / "old.csv").write_text("item,patent_pn,decision,at\nglob-1,GLOBEX,dismiss,2026-10-01\n")
    said = decisions(ran, folder, "old.csv")
    assert "1 row is older than what stands and changed nothing: glob-1 GLOBEX (dismiss at 2026-10-01)" in said


def test_decisions_of_a_file_count_in_an_export_without_being_kept(ran: Path, folder: Path) -> None:
    best = next(row["Patent number"] for row in sheet_of(ran, folder) if row["Item"] == "A-2")
    (folder / "mine.csv").write_text(f"item,patent_pn,decision\nA-2,{best},watch\n")
    before = (ran / "decisions.csv").read_bytes()
    export(ran, folder, "--to", "csv", "--decisions", "mine.csv")
    assert {row["item"]: row["decision"] for row in rows(folder / "job.csv")}["A-2"] == "watch"
    assert (ran / "decisions.csv").read_bytes() == before


def sheet_of(ran: Path, folder: Path) -> list[dict[str, Any]]:
    export(ran, folder, "--to", "xlsx", "-o", "look.xlsx")
    return sheet(folder / "look.xlsx")


def test_hostile_names_of_clients_make_plain_file_names(ran: Path, folder: Path) -> None:
    for text in ("../../x", NASTY["formula"]):
        done = here("export", ran / "runs" / "job", "--to", "csv", "--client", text, cwd=folder)
        assert (done.returncode, list(folder.iterdir())) == (2, [])


def test_beside_a_run_that_goes_on_and_after_a_kill_nothing_is_invented_and_nothing_touched(tmp_path: Path) -> None:
    with vendor(tmp_path, latency_s=0.1) as server:
        path = job(tmp_path, url=server.url, pictures=30, api={"max_in_flight": 1})
        run = tmp_path / "runs" / "job"
        with started("run", path, "-q", cwd=tmp_path, **ACCOUNT) as process:
            until_lines(run / "results.jsonl", 3, by=process)
            process.send_signal(signal.SIGSTOP)
            try:
                with (run / "results.jsonl").open("rb") as file:
                    known = file.read().count(b"\n")
                during = pipeline("export", run, "--to", "csv", "-o", "during.csv", cwd=tmp_path)
            finally:
                process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGKILL)
            ended(process)
        assert "the run was still going on" in during.stdout
        assert "no outcome yet" in during.stderr
        assert known - 1 <= len(rows(tmp_path / "during.csv")) <= known
        with (run / "results.jsonl").open("ab") as file:
            file.write(b'{"schema":1,"item":"torn","status":"tas')
        before = {one: one.read_bytes() for one in run.iterdir() if one.suffix in (".jsonl", ".json", ".html")}
        killed = pipeline("export", run, "--to", "jsonl", "-o", "-", cwd=tmp_path)
        assert (killed.returncode, "pipeline report" in killed.stderr) == (0, True)
        assert len(killed.stdout.splitlines()) >= known - 1
        assert {one: one.read_bytes() for one in run.iterdir() if one in before} == before


def test_results_alone_are_enough(ran: Path, folder: Path) -> None:
    alone = folder / "alone"
    alone.mkdir()
    shutil.copyfile(ran / "runs" / "job" / "results.jsonl", alone / "results.jsonl")
    done = here("export", alone, "--to", "xlsx", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert len(sheet(folder / "alone.xlsx")) == 4


def test_an_archive_is_exported_as_the_run_in_it(ran: Path, folder: Path) -> None:
    assert here("pack", ran / "runs" / "job", "-o", folder / "kept.zip", cwd=folder).returncode == 0
    done = here("export", "kept.zip", "--to", "xlsx", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "look at: kept.xlsx" in done.stdout
    assert len(sheet(folder / "kept.xlsx")) == 5


def test_a_report_that_was_collected_stands_in_the_place_of_its_task(tmp_path: Path) -> None:
    tasked, other = record("A"), record("B")
    compared = [{"patent_id": "p-1", "risk_level": "High"}]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in (tasked, other)))
    (tmp_path / "reports.jsonl").write_text(json.dumps(record("A", status="reported", comparisons=compared)) + "\n")
    done = here("export", tmp_path, "--to", "jsonl", "-o", "-", cwd=tmp_path)
    found = {one["item"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert {item: one["status"] for item, one in found.items()} == {"A": "reported", "B": "tasked"}
    assert found["A"]["vendor_writes_level"] == "High"

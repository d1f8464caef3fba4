"""First steps as a new user takes them: from what they have to a finished rehearsal in the three commands printed."""

import json
import os
import re
import shlex
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli.main import run
from pipeline.results.decisions import read_decisions
from pipeline.results.records import read_records
from pipeline.sandbox.resources import resource
from pipeline.sources.pictures import look_at_picture
from tests.support.jobs import ACCOUNT, pipeline, vendor
from tests.support.lengths import some
from tests.support.terminal import on_a_terminal
from tests.support.workbooks import ods_cell, rows_of, write_ods, write_xlsx

URL = "https://cdn.example.com/p/{}.jpg"
_FILES = ["job.yaml", "job.schema.json", "decisions.csv", ".env.example", ".gitignore"]


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person in an empty folder, without credentials."""
    monkeypatch.chdir(tmp_path)
    for name in ("PATSNAP_CLIENT_ID", "PATSNAP_CLIENT_SECRET", "PATSNAP_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def text(*lines: str, encoding: str = "utf-8", end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode(encoding)


def photos(folder: Path, *names: str) -> None:
    """Copy shipped pictures under these names."""
    shipped = sorted(resource("products").iterdir())
    for name, picture in zip(names, shipped, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, folder / name)


def workbook(folder: Path) -> None:
    table: list[list[object]] = [
        ["Product list spring", None, None, None],
        [None, None, None, None],
        ["Item no.", "Main picture", "Client", "Market"],
        *([f"SKU-{n}", URL.format(n), "Acme" if n < 3 else "Umbra", "US"] for n in range(4)),
    ]
    write_xlsx(folder / "Portfolio 2026.xlsx", ("About", rows_of([["Version", "3"]])), ("List", rows_of(table)))


def german(folder: Path) -> None:
    rows = [f"A-{n};{URL.format(n)};{'Möbel Größer' if n % 2 else 'Küchen Weiß'}" for n in range(4)]
    (folder / "artikel.csv").write_bytes(text("Artikelnummer;Bild-URL;Kunde", *rows, encoding="cp1252", end="\r\n"))


def open_document(folder: Path) -> None:
    rows = [["SKU", "Picture", "Brand"], *([f"A-{n}", URL.format(n), "Acme"] for n in range(3))]
    written = "".join(f"<table:table-row>{''.join(map(ods_cell, row))}</table:table-row>" for row in rows)
    write_ods(folder / "list.ods", ("Products", written))


def unicode_text(folder: Path) -> None:
    rows = [f"A-{n}\t{URL.format(n)}\tAcme" for n in range(3)]
    (folder / "list.csv").write_bytes(text("SKU\tImage\tBrand", *rows, encoding="utf-16", end="\r\n"))


def header_in_row_three(folder: Path) -> None:
    rows = [f"A-{n},{URL.format(n)},US" for n in range(3)]
    (folder / "export.csv").write_bytes(
        text("https://shop.example.com/export,,", ",,", "Style code,Photo,Country", *rows)
    )


def chinese(folder: Path) -> None:
    rows = [f"产品-{n},{URL.format(n)},顶尖商贸,美国" for n in range(3)]
    (folder / "商品清单.csv").write_bytes(text("货号,主图链接,客户,市场", *rows, encoding="gb18030"))


def chinese_names(folder: Path) -> None:
    rows = [f"A-{n},图片\\茶壶{n}.jpg,宏达" for n in range(3)]
    (folder / "清单.csv").write_bytes(text("编号,图片,客户", *rows))
    photos(folder, *(f"图片/茶壶{n}.jpg" for n in range(3)))


def files_below(folder: Path) -> None:
    (folder / "list.csv").write_bytes(text("sku,file,brand", "A,a.jpg,x", "B,b.JPG,x", "C,c.png,y"))
    photos(folder, "studio/2026/a.jpg", "studio/2026/b.JPG")
    Image.open(resource("products") / "mug-0.jpg").save(folder / "studio/2026/c.png")


def a_folder(folder: Path) -> None:
    photos(folder, "photos/front/a.jpg", "photos/b.JPG")
    Image.open(resource("products") / "mug-0.jpg").save(folder / "photos/c.webp")


def a_zip(folder: Path) -> None:
    shipped = sorted(resource("products").iterdir())[:3]
    with zipfile.ZipFile(folder / "delivery.zip", "w") as archive:
        for number, picture in enumerate(shipped):
            archive.write(picture, f"front/{number}.jpg")


def objects(folder: Path) -> None:
    lines = [json.dumps({"sku": f"A-{n}", "image": URL.format(n), "labels": {"client": "acme"}}) for n in range(3)]
    (folder / "list.jsonl").write_bytes(text(*lines))


def short_rows(folder: Path) -> None:
    """As Excel leaves out empty cells at the end, with a note in one row alone."""
    rows = [f"SKU-{n:03},{URL.format(n)},acme{',see lawyer' if n == 3 else ''}" for n in range(6)]
    (folder / "p.csv").write_bytes(text("id,url,client,note", *rows, end="\r\n"))


def marked(folder: Path) -> None:
    (folder / "p.csv").write_bytes(text("id,url,client", f"A-1,{URL.format(1)},Käse", encoding="utf-8-sig"))


def semicolons(folder: Path) -> None:
    (folder / "p.csv").write_bytes(text("sep=;", "id;url;client", f"A-1;{URL.format(1)};acme", end="\r\n"))


def views(folder: Path) -> None:
    rows = [f"A-{n},{URL.format(n)},{URL.format(n + 100) if n else ''}" for n in range(3)]
    (folder / "p.csv").write_bytes(text("sku,Image 1,Image 2", *rows))


def pages_beside(folder: Path) -> None:
    rows = [f"A-{n},https://shop.example.com/item/{n},{URL.format(n)}" for n in range(3)]
    (folder / "p.csv").write_bytes(text("ASIN,Product link,Image", *rows))


def nothing(folder: Path) -> None:
    """An empty folder."""


CASES: list[tuple[Callable[[Path], None], list[str], set[str]]] = [
    (workbook, ["Portfolio 2026.xlsx"], {"SKU-0", "SKU-1", "SKU-2", "SKU-3"}),
    (german, ["artikel.csv"], {"A-0", "A-1", "A-2", "A-3"}),
    (open_document, [], {"A-0", "A-1", "A-2"}),
    (unicode_text, [], {"A-0", "A-1", "A-2"}),
    (header_in_row_three, [], {"A-0", "A-1", "A-2"}),
    (chinese, [], {"产品-0", "产品-1", "产品-2"}),
    (chinese_names, [], {"A-0", "A-1", "A-2"}),
    (files_below, ["list.csv"], {"A", "B", "C"}),
    (a_folder, ["photos"], {"a", "b", "c"}),
    (a_folder, [], {"a", "b", "c"}),
    (a_zip, ["delivery.zip"], {"0", "1", "2"}),
    (objects, [], {"A-0", "A-1", "A-2"}),
    (short_rows, [], {f"SKU-{n:03}" for n in range(6)}),
    (marked, [], {"A-1"}),
    (semicolons, [], {"A-1"}),
    (views, [], {"A-0", "A-1", "A-2"}),
    (pages_beside, [], {"A-0", "A-1", "A-2"}),
    (nothing, [], {"SKU-1001", "SKU-1002", "SKU-1003"}),
]

REHEARSED = some(CASES, *CASES[::3])


def commands_in(out: str) -> list[list[str]]:
    """The commands that `init` names as the next ones."""
    found = [shlex.split(line, comments=True) for line in out.partition("next:\n")[2].splitlines()]
    assert [words[0] for words in found] == ["pipeline"] * 3
    return [words[1:] for words in found]


@pytest.mark.proofs
@pytest.mark.parametrize(
    ("make", "given", "ids"), REHEARSED, ids=[f"{make.__name__} {given}" for make, given, _ in REHEARSED]
)
def test_three_commands_lead_to_a_finished_rehearsal(
    make: Callable[[Path], None], given: list[str], ids: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path)
    assert run(["init", *given, "--yes"]) == 0
    look, rehearse, doctor = commands_in(capsys.readouterr().out)
    assert run(look) == 0, capsys.readouterr().err
    assert run([*rehearse, "--quiet"]) == 0, capsys.readouterr().err
    [folder] = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    assert folder.name.endswith("-rehearsal")
    assert {record.item for record in read_records(folder)} == ids
    assert (folder / "report.html").is_file()
    capsys.readouterr()
    assert run(doctor) == 1  # there are no credentials yet, and nothing else is missing but leave to upload
    out = capsys.readouterr().out
    assert {line.split()[1] for line in out.splitlines() if line.startswith("fail")} <= {"credentials", "upload"}
    assert "would be paid by the account; the doctor paid nothing" in out


@pytest.mark.parametrize(("make", "given", "ids"), CASES, ids=[f"{make.__name__} {given}" for make, given, _ in CASES])
def test_files_of_a_new_job_are_there_and_say_what_they_are(
    make: Callable[[Path], None], given: list[str], ids: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path)
    assert run(["init", *given, "--client", "Größe & Söhne", "-y"]) == 0
    assert all((tmp_path / name).is_file() for name in _FILES)
    job = (tmp_path / "job.yaml").read_text("utf-8")
    assert job.startswith("# yaml-language-server: $schema=./job.schema.json\n")
    assert 'run: "{name}-{month}"' in job
    assert json.loads((tmp_path / "job.schema.json").read_text())["required"] == ["version", "name", "images"]
    assert read_decisions(tmp_path / "decisions.csv") == {}
    assert ".env" in (tmp_path / ".gitignore").read_text().splitlines()
    assert all("=" in line or line.startswith("#") for line in (tmp_path / ".env.example").read_text().splitlines())
    said = capsys.readouterr().out
    assert f"written: {', '.join(_FILES[:1])}" in said
    commented = [line for line in job.splitlines() if not line.lstrip().startswith("#")]
    keys = [line for line in commented if re.match(r" *(- )?\w+: \S", line)]
    lines = job.splitlines()
    assert [key for key in keys if not lines[lines.index(key) - 1].lstrip().startswith("#")] == []


@pytest.mark.parametrize(("given", "name"), [(["p.csv"], "p.yaml"), ([], "job-2.yaml")], ids=["a list", "what is here"])
def test_nothing_is_overwritten_and_the_command_for_another_job_is_named(
    given: list[str], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short_rows(tmp_path)
    assert run(["init"]) == 0
    (tmp_path / "decisions.csv").write_text("mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    capsys.readouterr()
    assert run(["init", *given]) == 2
    error, at, fix = capsys.readouterr().err.splitlines()
    assert "never overwritten" in error
    assert at == "  at: job.yaml"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert run(shlex.split(fix.removeprefix("  fix: "))[1:]) == 0
    out = capsys.readouterr().out
    assert f"written: {name}\n" in out
    assert "was there, and stays as it is: job.schema.json, decisions.csv" in out
    assert {kept: (tmp_path / kept).read_bytes() for kept in before} == before
    assert run(commands_in(out)[0]) == 0


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        pytest.param("list.tsv", b"id\turl\nA\thttps://cdn.example.com/1.jpg\n", id="tabs by another ending"),
        pytest.param("urls.txt", b"id,url\nA,https://cdn.example.com/1.jpg\n", id="text"),
        pytest.param("list.json", b'{"id":"A","url":"https://cdn.example.com/1.jpg"}\n', id="objects"),
    ],
)
def test_file_of_another_ending_is_taken_by_the_command_that_is_named(
    name: str, raw: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(raw)
    assert run(["init", name]) == 2
    fix = capsys.readouterr().err.splitlines()[-1].removeprefix("  fix: ")
    copy, begin = (shlex.split(part) for part in fix.split(" && "))
    assert copy[0] == "cp"
    shutil.copy(copy[1], copy[2])
    assert run(begin[1:]) == 0


def test_table_without_a_header_is_taken_with_the_header_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.csv").write_bytes(text("A-1;https://cdn.example.com/1.jpg;x", "A-2;https://cdn.example.com/2.jpg;x"))
    assert run(["init", "p.csv"]) == 2
    error, at, fix = capsys.readouterr().err.splitlines()
    assert "the first row is a product already" in error
    assert at == "  at: p.csv:1"
    assert fix == "  fix: id;url;column_3"
    (tmp_path / "p.csv").write_bytes(text(fix.removeprefix("  fix: ")) + (tmp_path / "p.csv").read_bytes())
    assert run(["init", "p.csv"]) == 0


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        pytest.param(lambda folder: photos(folder, "a.jpg"), ["a.jpg"], id="one picture"),
        pytest.param(short_rows, ["P.CSV"], id="another spelling"),
        pytest.param(lambda folder: (folder / "empty").mkdir(), ["empty"], id="an empty folder"),
        pytest.param(
            lambda folder: (folder / "p.csv").write_text("id,Image,name\n1,IMG_1,vase\n2,IMG_2,pot\n"),
            ["p.csv"],
            id="names without endings",
        ),
        pytest.param(
            lambda folder: (folder / "p.csv").write_text(
                "id,Image,name\n1,https://cdn.example.com/1.jpg,vase\n"
                + "".join(f"{n},n/a,pot\n" for n in range(2, 12))
            ),
            ["p.csv"],
            id="few pictures",
        ),
        pytest.param(
            lambda folder: [short_rows(folder), shutil.copy(folder / "p.csv", folder / "q.csv")], [], id="two lists"
        ),
    ],
)
def test_command_that_a_refusal_names_runs(
    make: Callable[[Path], object], arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path)
    assert run(["init", *arguments]) == 2
    fix = capsys.readouterr().err.splitlines()[-1]
    assert fix.startswith("  fix: pipeline ")
    words = shlex.split(fix.removeprefix("  fix: "))[1:]
    if words == ["demo"]:
        return  # tests of the demo run it
    assert run(words) == 0
    assert (tmp_path / "job.yaml").is_file()


def test_pictures_that_were_looked_at_once_are_not_opened_again_until_they_change(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By `init`, `plan` and `doctor` alike, which find the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    a_folder(tmp_path)
    (tmp_path / "photos/bad.jpg").write_bytes(b"<html>")
    for path in (tmp_path / "photos").rglob("*.*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    opened: list[str] = []

    def look(root: Path, source: str, *, fit: bool = False) -> str:
        opened.append(source)
        return look_at_picture(root, source, fit=fit)

    monkeypatch.setattr("pipeline.sources.inspection.look_at_picture", look)
    assert run(["init"]) == 0
    assert {*opened} == {"photos/front/a.jpg", "photos/b.JPG", "photos/c.webp", "photos/bad.jpg"}
    opened.clear()
    assert run(["plan", "job.yaml", "--rehearse"]) == 0
    assert run(["doctor", "job.yaml"]) == 1
    assert opened == []
    assert capsys.readouterr().out.count("the picture is a web page") >= 2
    os.utime(tmp_path / "photos/b.JPG", (1_700_000_001, 1_700_000_001))
    assert run(["plan", "job.yaml", "--rehearse"]) == 0
    assert opened == ["photos/b.JPG"]


def test_example_of_credentials_is_filled_by_the_lines_that_the_doctor_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def credentials(*setting: str, code: int) -> dict[str, str]:
        capsys.readouterr()
        assert run(["doctor", "a folder/job.yaml", "--json", *setting]) == code
        findings = json.loads(capsys.readouterr().out)["findings"]
        return dict(next(one for one in findings if one["name"] == "credentials"))

    (tmp_path / "a folder").mkdir()
    short_rows(tmp_path / "a folder")
    assert run(["init", "a folder", "--job", "a folder/job.yaml"]) == 0
    without = credentials(code=1)
    assert "copy .env.example to .env" in without["text"]
    copy, close = (shlex.split(part) for part in without["fix"].split(" && "))
    assert (copy[0], close[:2]) == ("cp", ["chmod", "600"])
    shutil.copy(copy[1], copy[2])
    Path(close[2]).chmod(0o600)
    assert credentials(code=1)["fix"].startswith("export PATSNAP_CLIENT_ID=")
    written = (tmp_path / "a folder/.env").read_text()
    for name, value in ACCOUNT.items():
        assert f"\n{name}=\n" in written
        written = written.replace(f"\n{name}=\n", f"\n{name}={value}\n")
    (tmp_path / "a folder/.env").write_text(written)
    with vendor(tmp_path) as server:
        assert credentials("--set", f"api.base_url={server.url}", code=0)["verdict"] == "pass"


AMBIGUOUS = ("sku,Photo,Packshot", *(f"A-{n},{URL.format(n)},{URL.format(n + 50)}" for n in range(3)))


@pytest.mark.proofs
def test_person_at_a_terminal_is_asked_only_where_two_columns_fit_alike(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(text(*AMBIGUOUS))
    code, said = on_a_terminal(["init"], answer="7\n2\n", cwd=tmp_path)
    assert code == 0, said
    assert said.count("1 to 2 [1]:") == 2
    assert 'url: "Packshot"' in (tmp_path / "job.yaml").read_text()
    (tmp_path / "job.yaml").unlink()
    code, said = on_a_terminal(["init"], answer="x\n0\n3\n", cwd=tmp_path)
    assert code == 2
    assert "fix: pipeline init --yes" in said
    for flags in (["--yes"], ["--picture-column", "photo"]):
        code, said = on_a_terminal(["init", *flags], answer="", cwd=tmp_path)
        assert (code, "[1]:" in said) == (0, False)
        assert 'url: "Photo"' in (tmp_path / "job.yaml").read_text()
        (tmp_path / "job.yaml").unlink()
    (tmp_path / "p.csv").write_bytes(text("sku,Photo,Client", f"A,{URL.format(1)},acme"))
    code, said = on_a_terminal(["init"], answer="", cwd=tmp_path)
    assert (code, "[1]:" in said) == (0, False)


@pytest.mark.proofs
def test_without_a_terminal_the_first_of_alike_columns_is_taken_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.csv").write_bytes(text(*AMBIGUOUS))
    result = pipeline("init", cwd=tmp_path)
    assert result.returncode == 0
    assert "warning: 'Photo' is taken as the picture; 'Packshot' would fit as well" in result.stdout
    job = (tmp_path / "job.yaml").read_text()
    assert 'url: "Photo"' in job
    assert '# views: ["Photo", "Packshot"]' in job

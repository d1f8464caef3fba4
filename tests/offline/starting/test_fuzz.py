"""Any file becomes a job that can be loaded, or a refusal in words: never a crash, and never half a job."""

import shutil
from pathlib import Path

from hypothesis import strategies as st

from pipeline.errors import SpecError
from pipeline.job.load import load_job
from pipeline.offline.starting.begin import begin_job, write_files
from pipeline.offline.starting.draft import Options
from tests.support.fuzzing import fuzzed

CELLS = st.sampled_from(
    [
        *("id", "url", "path", "SKU", "Bild", "Image 1", "Image 2", "客户", "编号", "labels", "Main\u0085picture"),
        *(
            "https://h.example.com/1.jpg",
            "https://h.example.com/2.png?a,b",
            "http://",
            "a.jpg",
            "..\\a.jpg",
            "C:\\x.jpg",
        ),
        *("", " ", '"', "\n", "1.01E+12", "00042", "null", "~", ": #", "- x", "=1+1", "#N/A", "é", "x" * 200, "\u200d"),
    ]
)
TABLES = st.tuples(
    st.lists(st.lists(CELLS, max_size=5), max_size=6),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "cp1252"]),
)


def assert_job_or_refusal(folder: Path, name: str, raw: bytes) -> None:
    """Begin a job from a list of these bytes."""
    here = folder / "here"
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir()
    (here / name).write_bytes(raw)
    try:
        write_files(begin_job(here / name, here / "job.yaml", Options(), samples="samples"))
    except SpecError:
        assert [path.name for path in here.iterdir()] == [name]
        return
    assert load_job(here / "job.yaml").images[0].manifest == name


@fuzzed(TABLES, short=25, long=800)
def test_any_table_becomes_a_job_or_is_refused(tmp_path: Path, table: tuple[list[list[str]], str, str]) -> None:
    rows, separator, encoding = table
    text = "\n".join(separator.join(row) for row in rows)
    assert_job_or_refusal(tmp_path, "list.csv", text.encode(encoding, "ignore"))


@fuzzed(st.binary(max_size=300), st.sampled_from(["list.csv", "list.jsonl", "list.xlsx"]), short=25, long=800)
def test_any_bytes_become_a_job_or_are_refused(tmp_path: Path, raw: bytes, name: str) -> None:
    assert_job_or_refusal(tmp_path, name, raw)

"""The items of a job as lines: the same however many processes make them, and whatever becomes of these."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline.cluster import listing
from pipeline.cluster.listing import Listing, list_items
from pipeline.errors import SpecError
from pipeline.job.load import load_job
from pipeline.job.schema import JobSpec
from pipeline.sources.items import read_items
from pipeline.sources.kept_items import read_kept
from pipeline.system.helpers import Helper, helpers
from tests.support.processes import until

JOB = """\
version: 1
name: many
images:
- {url: "https://a.example.com/first.jpg"}
- {manifest: rows.csv}
- {path: photos}
- {manifest: lines.jsonl}
- {manifest: rows.csv, labels: {again: "yes"}}
upload: {public: true}
cluster: {shared: shared, same_picture: source}
"""


def job_in(folder: Path) -> JobSpec:
    """A job with rows over several lines, bad rows and empty lines, pictures of a folder, and a list of objects."""
    rows = [f'S{n},https://cdn.example.com/{n}.jpg,"brand\n{n}"' for n in range(1_700)]
    rows[700:700] = ["", 'bad,"ftp://no",x', ",,", "x,y,z,too many", 'S9"9,https://cdn.example.com/a.jpg,"x"y']
    (folder / "rows.csv").write_text("\n".join(["id,url,brand", *rows]) + "\n")
    lines = [f'{{"id": "L{n}", "url": "https://cdn.example.com/l{n}.jpg"}}' for n in range(900)]
    (folder / "lines.jsonl").write_text("\n".join([*lines[:500], "{no object", *lines[500:]]))
    (folder / "photos").mkdir()
    for n in range(40):
        (folder / "photos" / f"{n:02}.jpg").touch()
    (folder / "job.yaml").write_text(JOB)
    return load_job(folder / "job.yaml")


def listed(
    spec: JobSpec, draft: Path, others: Sequence[Helper] = ()
) -> tuple[Listing, list[tuple[list[bytes], bytes]]]:
    draft.mkdir()
    made = list_items(spec, draft, others)
    return made, list(made.blocks())


def after(happened: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process go on behind its first block only once something has happened elsewhere."""
    write_items = listing.write_items

    def slow(*args: object) -> bytes:
        lines = write_items(*args)  # type: ignore[arg-type]
        until(happened)
        return lines

    monkeypatch.setattr(listing, "write_items", slow)


def begun(draft: Path) -> bool:
    return (draft / "all-1").exists() and (draft / "all-1").stat().st_size > 0


def test_lines_and_keys_are_the_same_whoever_makes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = job_in(tmp_path)
    alone, expected = listed(spec, tmp_path / "alone")
    after(lambda: begun(tmp_path / "shared-work"), monkeypatch)
    with helpers(1) as others:
        made, blocks = listed(spec, tmp_path / "shared-work", others)
    assert set(made.owners) == {0, 1}
    assert set(alone.owners) == {0}
    assert blocks == expected
    assert made.items == alone.items == sum(len(lines) for lines, _ in blocks)
    assert b"".join(alone.all_keys()) == b"".join(keys for _, keys in expected)
    assert sorted(b"".join(made.all_keys())) == sorted(b"".join(alone.all_keys()))


def test_the_lines_are_the_items_of_the_job_in_their_order(tmp_path: Path) -> None:
    spec = job_in(tmp_path)
    made, blocks = listed(spec, tmp_path / "draft")
    kept = [read_kept(line) for lines, _ in blocks for line in lines]
    assert [one.item for one in kept] == list(read_items(spec))
    assert [one.n for one in kept] == list(range(made.items))
    assert len(made.owners) == -(-made.items // 500) > 8


def test_a_helper_that_dies_takes_nothing_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = job_in(tmp_path)
    _, expected = listed(spec, tmp_path / "alone")
    with helpers(1) as others:
        pid = others[0].begin(os.getpid)()
        assert pid is not None

        def killed() -> bool:
            if begun(tmp_path / "draft"):
                os.kill(pid, signal.SIGKILL)
                return True
            return False

        after(killed, monkeypatch)
        made, blocks = listed(spec, tmp_path / "draft", others)
    assert blocks == expected
    made.remove()
    assert not list((tmp_path / "draft").iterdir())


def test_a_list_that_cannot_be_read_is_refused_as_by_one_process(tmp_path: Path) -> None:
    spec = job_in(tmp_path)
    (tmp_path / "lines.jsonl").unlink()
    (tmp_path / "draft").mkdir()
    with helpers(1) as others, pytest.raises(SpecError, match=r"lines\.jsonl: cannot read the manifest: No such file"):
        list_items(spec, tmp_path / "draft", others)

"""The split of a job: every item in one shard, once, the same each time, whatever dies meanwhile."""

import io
import json
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import blake2b, sha256
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cluster.ids import hash_of, shards_of, write_index
from pipeline.cluster.layout import cluster_run
from pipeline.cluster.partition import index_ids
from pipeline.cluster.split import Split, read_split, split_job
from pipeline.errors import Code, JournalError, SpecError
from pipeline.job.load import load_job
from pipeline.job.schema import JobSpec
from pipeline.models import Item
from pipeline.offline.plan import plan_job
from pipeline.run.cluster_runs import LEASES
from pipeline.sources.check import fingerprint
from pipeline.sources.items import read_items
from pipeline.sources.kept_items import kept_items, write_item, write_items
from pipeline.system.helpers import Helper
from tests.support.processes import until

JOB = """\
version: 1
name: many
images: [{manifest: m.csv}]
api: {base_url: sandbox}
upload: {public: true}
cluster: {shared: shared, shards: 7}
"""


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (200, 200), "red").save(file, "PNG")
    return file.getvalue()


PICTURE = _picture()


def job_in(folder: Path, rows: str, *overrides: str) -> JobSpec:
    (folder / "shared").mkdir(mode=0o700, exist_ok=True)
    (folder / "m.csv").write_text(rows)
    (folder / "job.yaml").write_text(JOB)
    return load_job(folder / "job.yaml", overrides=overrides)


def rows_of(number: int) -> str:
    lines = (f"SKU-{n},https://cdn.example.com/{n}.jpg,brand {n % 3}" for n in range(number))
    return "\n".join(["id,url,brand", *lines]) + "\n"


def long_rows_of(number: int) -> str:
    """A list that is long enough for several processes."""
    return rows_of(number).replace("brand ", f"{'b' * 400} ")


def shards_in(folder: Path) -> list[list[Item]]:
    run = cluster_run(folder)
    assert run is not None
    return [list(kept_items(shard.folder / "items.jsonl")) for shard in run.shards]


def bytes_in(folder: Path) -> dict[str, bytes]:
    files = [*folder.glob("shards/*/items.jsonl"), folder / "ids"]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def split_anew(spec: JobSpec) -> tuple[Path, Split]:
    return split_job(spec, new=True)


def test_every_item_is_in_one_shard_as_the_job_lists_it(tmp_path: Path) -> None:
    spec = job_in(tmp_path, rows_of(500))
    folder, split = split_job(spec)
    shards = shards_in(folder)
    assert sorted((item for shard in shards for item in shard), key=str) == sorted(read_items(spec), key=str)
    assert split.counts == [len(shard) for shard in shards]
    assert min(split.counts) > 0
    assert (split.items, split.shards, split.clashes) == (500, 7, 0)


def test_within_a_shard_the_order_is_that_of_the_job(tmp_path: Path) -> None:
    folder, _ = split_job(job_in(tmp_path, rows_of(300)))
    for file in folder.glob("shards/*/items.jsonl"):
        places = [json.loads(line)["n"] for line in file.read_text().splitlines()]
        assert places == sorted(places)


def test_the_same_list_makes_the_same_bytes(tmp_path: Path) -> None:
    spec = job_in(tmp_path, rows_of(300))
    first, _ = split_job(spec)
    again, _ = split_anew(spec)
    assert first != again
    assert bytes_in(first) == bytes_in(again)


def test_a_job_is_split_once(tmp_path: Path) -> None:
    spec = job_in(tmp_path, rows_of(20))
    folder, split = split_job(spec)
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    assert split_job(spec) == (folder, split)
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before


def test_the_place_of_the_leases_is_made_with_the_split_for_its_owner_alone(tmp_path: Path) -> None:
    split_job(job_in(tmp_path, rows_of(20)))
    assert stat.S_IMODE((tmp_path / "shared" / LEASES).stat().st_mode) == 0o700


def test_a_place_of_leases_that_the_job_names_is_nobodys_to_make(tmp_path: Path) -> None:
    split_job(job_in(tmp_path, rows_of(20), "api.leases=leases"))
    assert [one.name for one in (tmp_path / "shared").iterdir()] == ["many"]
    assert not (tmp_path / "leases").exists()


def test_a_folder_that_machines_share_and_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    spec = job_in(tmp_path, rows_of(20))
    (tmp_path / "shared").rmdir()
    with pytest.raises(JournalError, match=r"not mounted looks the same: mount it, or make") as refused:
        split_job(spec)
    assert refused.value.exit_code == 5
    assert not (tmp_path / "shared").exists()


def test_more_shards_later_change_nothing(tmp_path: Path) -> None:
    folder, _ = split_job(job_in(tmp_path, rows_of(20)))
    assert split_job(job_in(tmp_path, rows_of(20), "cluster.shards=9"))[1].shards == 7
    assert read_split(folder).shards == 7


def test_a_list_that_changed_since_is_refused_in_one_line(tmp_path: Path) -> None:
    split_job(job_in(tmp_path, rows_of(20)))
    with pytest.raises(SpecError) as refused:
        split_job(job_in(tmp_path, rows_of(21)))
    [line] = refused.value.lines
    assert "others than when it was split" in line
    assert "pipeline split JOB --new" in line
    with pytest.raises(SpecError, match=r"run `pipeline split k2\.yaml --set name=other --new`"):
        split_job(job_in(tmp_path, rows_of(21)), words=["k2.yaml", "--set", "name=other"])


def test_items_with_one_picture_come_into_one_shard(tmp_path: Path) -> None:
    """A file that lies in two places, and a URL in two spellings."""
    rows = "".join(f"a{n},,p/{n}.png\nb{n},,q/{n}.png\n" for n in range(20))
    rows += "".join(
        f"u{n},https://cdn.example.com/{n}.jpg,\nv{n},HTTPS://CDN.example.com:443/{n}.jpg#x,\n" for n in range(20)
    )
    for folder in ("p", "q"):
        (tmp_path / folder).mkdir()
        for n in range(20):
            (tmp_path / folder / f"{n}.png").write_bytes(b"picture %d" % n)
    folder, _ = split_job(job_in(tmp_path, "id,url,path\n" + rows))
    shard_of = {item.id: number for number, items in enumerate(shards_in(folder)) for item in items}
    assert len(set(shard_of.values())) > 3
    for one, other in ("ab", "uv"):
        assert [shard_of[f"{one}{n}"] for n in range(20)] == [shard_of[f"{other}{n}"] for n in range(20)]


def test_by_source_files_are_not_even_opened(tmp_path: Path) -> None:
    rows = "".join(f"a{n},,p/{n}.png\nb{n},,q/{n}.png\n" for n in range(20))
    spec = job_in(tmp_path, "id,url,path\n" + rows, "cluster.same_picture=source")
    folder, _ = split_job(spec)
    assert all(item.picture.startswith("path:") for items in shards_in(folder) for item in items)


def test_labels_origins_views_and_bad_rows_are_kept(tmp_path: Path) -> None:
    rows = "id,view_1,view_2,url,brand\nA,https://a.example.com/1.jpg,https://a.example.com/2.jpg,,x\nB,,,ftp://no,y\n"
    spec = job_in(tmp_path, rows, "search={endpoint: P061}", "cluster.shards=1")
    folder, _ = split_job(spec)
    [[with_views, bad]] = shards_in(folder)
    assert with_views.source == "views: https://a.example.com/1.jpg | https://a.example.com/2.jpg"
    assert (with_views.labels, with_views.origin) == ({"brand": "x"}, "m.csv:2")
    assert bad.problem is not None
    assert (bad.problem.code, bad.origin) == (Code.BAD_ROW, "m.csv:3")
    assert list(read_items(spec)) == [with_views, bad]


def test_an_id_of_two_pictures_fails_for_the_second_also_in_another_shard(tmp_path: Path) -> None:
    rows = rows_of(200) + "SKU-7,https://cdn.example.com/other.jpg,\nSKU-7,https://cdn.example.com/7.jpg,again\n"
    folder, split = split_job(job_in(tmp_path, rows))
    items = [item for shard in shards_in(folder) for item in shard]
    [failed] = [item for item in items if item.problem is not None]
    assert split.clashes == 1
    assert failed.id == "m.csv:202 SKU-7"
    assert failed.problem is not None
    assert failed.problem.code == Code.ID_TWICE
    assert "'SKU-7' is already used by m.csv:9 for another picture" in failed.problem.message
    assert [item.labels["brand"] for item in items if item.id == "SKU-7"] == ["brand 1", "again"]


def test_the_shard_of_an_id_is_found(tmp_path: Path) -> None:
    folder, _ = split_job(job_in(tmp_path, rows_of(300)))
    for number, items in enumerate(shards_in(folder)):
        assert all(shards_of(folder, item.id) == [number] for item in items)
    assert shards_of(folder, "SKU-300") == []


def test_a_shard_is_a_job_of_its_own(tmp_path: Path) -> None:
    spec = job_in(tmp_path, rows_of(50))
    folder, _ = split_job(spec)
    shard = spec.of_shard(folder / "shards" / "0003" / "items.jsonl")
    assert list(read_items(shard)) == shards_in(folder)[3]
    assert shard.cluster is None
    assert fingerprint(shard) != fingerprint(spec.of_shard(folder / "shards" / "0004" / "items.jsonl"))


@pytest.mark.proofs
def test_auto_makes_a_shard_for_each_ten_thousand(tmp_path: Path) -> None:
    _, split = split_job(job_in(tmp_path, rows_of(20_001), "cluster.shards=auto"))
    assert split.shards == 3
    assert sum(split.counts) == 20_001


def test_a_changed_item_of_a_shard_is_named_and_not_read_as_something_else(tmp_path: Path) -> None:
    folder, _ = split_job(job_in(tmp_path, rows_of(50)))
    file = folder / "shards" / "0000" / "items.jsonl"
    file.write_text(file.read_text().replace("{", "[", 1))
    with pytest.raises(SpecError, match=r"items\.jsonl:1: this is no item"):
        list(kept_items(file))


@pytest.mark.proofs
def test_two_machines_that_split_at_once_make_one_split(tmp_path: Path) -> None:
    job_in(tmp_path, rows_of(3000))
    command = [sys.executable, "-m", "pipeline", "split", "job.yaml", "--json"]
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) for _ in range(2)]
    said = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert said[0] == said[1]
    assert sorted(one.name for one in (tmp_path / "shared").iterdir()) == [LEASES, "many"]


@pytest.mark.proofs
def test_a_split_that_was_killed_is_made_anew_with_the_same_bytes(tmp_path: Path) -> None:
    spec = job_in(tmp_path, long_rows_of(25_000))
    shared = tmp_path / "shared"
    process = subprocess.Popen([sys.executable, "-m", "pipeline", "split", "job.yaml"], cwd=tmp_path)
    while process.poll() is None and not list(shared.glob(".split-*/keys-0")):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (shared / "many").exists(), "the kill came too late to show anything"
    assert list(shared.glob(".split-*"))
    folder, _ = split_job(spec)
    assert not list(shared.glob(".split-*"))
    assert bytes_in(folder) == bytes_in(split_anew(spec)[0])


@pytest.mark.proofs
def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    """Peak memory of 5,000 and of 100,000 items, each in a process of its own."""
    say = "import resource as r; print(r.getrusage(r.RUSAGE_SELF).ru_maxrss)"
    run = f"from pipeline.cli.main import run; run(['split', 'job.yaml', '--json']); {say}"
    peaks = []
    for number in (5_000, 100_000):
        folder = tmp_path / str(number)
        folder.mkdir()
        job_in(folder, rows_of(number))
        done = subprocess.run([sys.executable, "-c", run], cwd=folder, capture_output=True, check=True, timeout=300)
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    assert peaks[1] - peaks[0] < 60  # MB: what waits for the shards' files, and a range of ids


def test_plan_counts_what_the_opt_out_costs(tmp_path: Path) -> None:
    """Copies of a file share a call where pictures are known by their bytes, and none where by their paths.

    By its pixels another file shares it, too.
    """
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(PICTURE)
    (tmp_path / "c.png").write_bytes(PICTURE + b"behind its end")
    rows = "id,path\nA,a.png\nB,b.png\nC,c.png\n"
    job_in(tmp_path, rows)
    calls = [
        plan_job(tmp_path / "job.yaml", overrides=[f"cluster.same_picture={way}"]).calls["search"]
        for way in ("bytes", "source", "pixels")
    ]
    assert calls == [2, 3, 1]


def test_ids_and_pictures_are_hashed_as_ever_for_a_run_goes_on_after_an_upgrade() -> None:
    assert hash_of("SKU-1") == blake2b(b"SKU-1", digest_size=8).digest()
    assert hash_of("\ud800") == blake2b(b"\xed\xa0\x80", digest_size=8).digest()


def test_an_index_has_every_id_however_many_there_are(tmp_path: Path) -> None:
    ids = {f"SKU-{n}": n % 7 for n in range(3_000)}
    entries = sorted(hash_of(id_) + shard.to_bytes(2, "big") for id_, shard in ids.items())
    twice = hash_of("SKU-9") + (6).to_bytes(2, "big")
    ranges = [[one for one in entries if one[0] == first] for first in range(256)]
    ranges[twice[0]] = sorted([*ranges[twice[0]], twice])
    assert write_index(tmp_path / "ids", ranges) == {hash_of("SKU-9"): [2, 6]}
    assert shards_of(tmp_path, "SKU-9") == [2, 6]
    assert {id_: [shard] for id_, shard in ids.items() if id_ != "SKU-9"} == {
        id_: shards_of(tmp_path, id_) for id_ in ids if id_ != "SKU-9"
    }
    assert [shards_of(tmp_path, f"SKU-{n}") for n in range(3_000, 3_100)] == [[]] * 100


def test_an_index_that_is_cut_off_or_gone_is_an_error_of_the_run(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"ids: cannot be read: No such file"):
        shards_of(tmp_path, "SKU-1")
    (tmp_path / "ids").write_bytes(hash_of("SKU-1") + b"\0")
    with pytest.raises(JournalError, match=r"ids: cannot be read: the file ends within an entry"):
        shards_of(tmp_path, "SKU-1")


def test_items_are_written_alike_together_and_one_by_one() -> None:
    labels = ({}, {"brand": "é"}, {"brand": "x", "shop": "y"})
    items = [Item(f"a{n}", f"https://h.example/{n}", False, f"m.csv:{n}", some) for n, some in enumerate(labels)]
    assert write_items(7, items) == b"".join(write_item(n, item) for n, item in enumerate(items, 7))


def test_a_job_by_pixels_keeps_what_shows_the_same_in_one_shard_known_by_the_first(tmp_path: Path) -> None:
    """The journal of a shard and all that reads it go by what stands there; nothing else compares pixels."""
    lossless = io.BytesIO()
    Image.open(io.BytesIO(PICTURE)).save(lossless, "PNG", compress_level=1)
    assert lossless.getvalue() != PICTURE
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(lossless.getvalue() if number % 2 else PICTURE + b"%d" % number)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    rows = "".join(f"{n},{n}.png\n" for n in range(20)) + "20,broken.png\n"
    spec = job_in(tmp_path, f"id,path\n{rows}", "cluster.same_picture=pixels")
    folder, split = split_job(spec)
    shards = [shard for shard in shards_in(folder) if any(item.id == "0" for item in shard)]
    items = [item for item in shards[0] if item.id != "20"]
    assert [item.id for item in items] == [str(n) for n in range(20)]
    assert {item.picture for item in items} == {f"sha256:{sha256(PICTURE + b'0').hexdigest()}"}
    odd = sha256(lossless.getvalue()).hexdigest()
    assert [item.own for item in items[:3]] == ["", odd, sha256(PICTURE + b"2").hexdigest()]
    assert (split.items, sum(split.counts), split.same_picture) == (21, 21, "pixels")
    [broken] = [item for shard in shards_in(folder) for item in shard if item.id == "20"]
    assert (broken.picture, broken.own) == (f"sha256:{sha256(b'no picture').hexdigest()}", "")
    again, _ = split_anew(spec)
    assert bytes_in(again) == bytes_in(folder)


@pytest.mark.proofs
def test_a_long_list_that_processes_share_makes_the_same_bytes_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = job_in(tmp_path, long_rows_of(25_000) + "SKU-7,https://cdn.example.com/other.jpg,\n")
    folder, split = split_job(spec)
    assert (split.items, split.clashes) == (25_001, 1)
    together = bytes_in(folder)
    monkeypatch.setattr("pipeline.cluster.split._LONG", 1 << 40)
    assert bytes_in(split_anew(spec)[0]) == together
    assert sorted(one.name for one in folder.iterdir()) == ["ids", "shards", "split.json"]


@pytest.mark.proofs
def test_a_helper_that_dies_over_the_index_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = job_in(tmp_path, long_rows_of(25_000))
    begin = Helper.begin

    def killed(helper: Helper, function: Callable[..., object], *args: object) -> object:
        outcome = begin(helper, function, *args)
        if function is index_ids:
            until((args[0].draft / "buckets").exists)  # type: ignore[attr-defined]
            helper._process.kill()
        return outcome

    monkeypatch.setattr(Helper, "begin", killed)
    folder, _ = split_job(spec)
    together = bytes_in(folder)
    monkeypatch.undo()
    assert bytes_in(split_anew(spec)[0]) == together
    assert sorted(one.name for one in folder.iterdir()) == ["ids", "shards", "split.json"]

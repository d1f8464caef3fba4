"""Workers after a first pass: files of the same pixels cost one call, and what was made fit ahead is not made again."""

import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image

from tests.support.jobs import ACCOUNT, job, lines, pipeline, vendor
from tests.support.processes import ended
from tests.support.workers import sent_in, truth_of, workers

pytestmark = pytest.mark.proofs

GROUPS, EACH = 4, 3
# What would make a picture fit ends the worker.
NOTHING_IS_MADE_FIT = """
from pipeline.sources import fitting
def never(data):
    os.kill(os.getpid(), 9)
fitting.fit = never
"""


def turned(shade: int, compress_level: int) -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    image = Image.radial_gradient("L").resize((200, 120)).point(lambda value: min(value, 100 + shade))
    image.convert("RGB").save(buffer, "PNG", exif=exif, compress_level=compress_level)
    return buffer.getvalue()


def test_files_of_the_same_pixels_are_paid_once_and_made_fit_ahead(tmp_path: Path) -> None:
    files = {f"{group}-{n}.png": turned(30 * group, 1 + 4 * n) for group in range(GROUPS) for n in range(EACH)}
    assert len(set(files.values())) == GROUPS * EACH
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    images = [{"path": name, "id": name} for name in files]
    shared = {"shared": "shared", "shards": 3, "lease_s": 2, "same_picture": "pixels"}
    with vendor(tmp_path) as server:
        job(tmp_path, url=server.url, images=images, upload={"public": True, "fit": True}, cluster=shared)
        split = pipeline("split", "job.yaml", "--prepare", cwd=tmp_path, **ACCOUNT)
        assert split.returncode == 0, split.stderr
        assert f"{GROUPS * EACH} pictures are made fit ahead" in split.stderr
        with workers(tmp_path, 2, more=NOTHING_IS_MADE_FIT) as processes:
            codes = [(ended(process), process.returncode)[1] for process in processes]
    assert codes == [0, 0]
    run = tmp_path / "shared" / "job"
    assert truth_of(tmp_path, run) == ([], [], GROUPS * EACH, 0, 0)
    assert [one.kind for one in sent_in(tmp_path)].count("upload") == GROUPS
    records = [record for file in run.glob("shards/*/e*/results.jsonl") for record in lines(file)]
    said = {record["item"]: (record["image"]["sha256"], record.get("same_as")) for record in records}
    assert said == {
        name: (hashlib.sha256(data).hexdigest(), None if name.endswith("-0.png") else f"{name[0]}-0.png")
        for name, data in files.items()
    }
    assert len({record["image"]["url"] for record in records}) == GROUPS

"""A run whose pictures are made fit: what is uploaded fits, the record is of the file, copies are paid once."""

import hashlib
import io
import json
from pathlib import Path

from PIL import Image

from pipeline.results.records import read_records
from pipeline.run.local import run_job
from pipeline.sandbox.resources import resource
from tests.support.pages import Page


def test_pictures_of_other_kinds_are_uploaded_fit_and_searched_once_each(tmp_path: Path) -> None:
    lamp = Image.open(io.BytesIO((resource("products") / "lamp-0.jpg").read_bytes())).convert("RGB")
    (tmp_path / "photos").mkdir()
    lamp.save(tmp_path / "photos/a.webp", quality=95)
    (tmp_path / "photos/b.webp").write_bytes((tmp_path / "photos/a.webp").read_bytes())
    lamp.rotate(90, expand=True).save(tmp_path / "photos/c.tiff")
    spec = {
        "version": 1,
        "name": "fit",
        "images": [{"path": "photos"}],
        "upload": {"public": True, "fit": True},
        "search": {"limit": 3},
        "api": {"base_url": "sandbox", "qps": 1000},
    }
    (tmp_path / "job.yaml").write_text(json.dumps(spec))
    summary = run_job(tmp_path / "job.yaml")
    assert (summary.exit_code, summary.items["tasked"]) == (0, 3)
    assert {kind: spent.sent for kind, spent in summary.calls.items() if kind in ("upload", "create")} == {
        "upload": 2,
        "create": 2,
    }
    records = {record.item: record for record in read_records(tmp_path / "runs/fit")}
    for name in ("a.webp", "b.webp", "c.tiff"):
        data = (tmp_path / "photos" / name).read_bytes()
        assert records[name[0]].image.sha256 == hashlib.sha256(data).hexdigest()
    assert records["a"].image.url is not None
    assert ".png" in records["a"].image.url or ".jpg" in records["a"].image.url
    page = Page(tmp_path / "runs/fit/report.html")
    assert all(page.picture(one.rest["p"]) for one in page.products)

"""progress.json: there while a run goes on, and believed for moments only."""

from pathlib import Path
from typing import Any

from pipeline import RunOptions, run_job
from pipeline.models import State
from pipeline.run import progress_file
from pipeline.run.progress import Progress
from pipeline.run.progress_file import FRESH_S, PROGRESS, noted
from tests.support.jobs import ACCOUNT, job, vendor


def test_the_picture_of_a_run_that_goes_on_can_be_read_and_is_gone_in_the_end(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(progress_file, "EVERY_S", 0.0)
    folder = tmp_path / "runs" / "job"
    seen: list[Progress | None] = []

    class Looker:
        def update(self, progress: Progress) -> None:
            seen.append(noted(folder, now=progress_file.time.time()))

    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=3, api={"qps": 5})
        assert run_job(path, options=RunOptions(environment=ACCOUNT, observer=Looker())).ok  # type: ignore[arg-type]
    pictures = [picture for picture in seen if picture is not None]
    assert pictures
    assert all(picture.run == "job" for picture in pictures)
    assert max(sum(picture.items.values()) for picture in pictures) == 3
    assert not (folder / PROGRESS).exists()


def test_a_picture_is_believed_for_moments_only(tmp_path: Path) -> None:
    progress = Progress(1.0, dict.fromkeys(State, 1), 0, True, {}, 0.0, 0.0, None, "", None)
    progress_file._note(tmp_path, progress)
    now = progress_file.time.time()
    assert noted(tmp_path, now=now) == progress
    assert noted(tmp_path, now=now + FRESH_S + 1) is None
    assert noted(tmp_path, now=now - 60) is None


def test_half_a_picture_is_none(tmp_path: Path) -> None:
    (tmp_path / PROGRESS).write_text('{"at": 1')
    assert noted(tmp_path, now=2.0) is None

"""A plan: what a run would do, counted from the sources and the journal; nothing is sent or written."""

from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import SpecError
from pipeline.offline.plan import Plan, plan_job
from tests.support.jobs import drawings, job


def plan(folder: Path, pictures: list[str] | int, *overrides: str, **parts: object) -> Plan:
    path = job(folder, url="https://connect.example.com", pictures=pictures, **parts)
    return plan_job(path, overrides=overrides)


def test_a_plan_needs_no_credentials_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    found = plan(tmp_path, 10)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "job.yaml", tmp_path / "list.csv"] != before
    assert (found.items, found.calls, found.paid_calls) == (10, {"upload": 0, "search": 10, "create": 10}, 20)
    assert (found.run, found.vendor, found.already) == (str(tmp_path / "runs" / "job"), "connect.example.com", {})


def test_rows_that_repeat_share_a_picture_or_cannot_be_used_are_not_searched(tmp_path: Path) -> None:
    one, two = drawings(2)
    path = job(tmp_path, url="https://connect.example.com", pictures=[one, two, one, "ftp://nowhere"])
    with (tmp_path / "list.csv").open("a") as rows:
        rows.write(f"P0000,{one}\n")
    found = plan_job(path)
    assert (found.items, found.repeated, found.same_picture, found.bad) == (5, 1, 1, 1)
    assert found.calls == {"upload": 0, "search": 2, "create": 2}


def test_local_pictures_are_uploaded_and_without_tasks_nothing_is_created(tmp_path: Path) -> None:
    path = job(tmp_path, url="https://connect.example.com", pictures=1, upload={"public": True})
    (tmp_path / "list.csv").write_text(f"id,path,url\na,a.jpg,\nb,b.jpg,\nc,,{drawings(1)[0]}\n")
    assert plan_job(path).calls == {"upload": 0, "search": 1, "create": 1}, "what cannot be read costs nothing"
    for name in ("a.jpg", "b.jpg"):
        Image.effect_noise((64, 64), 80).save(tmp_path / name)
    assert plan_job(path).calls == {"upload": 2, "search": 3, "create": 3}
    assert plan_job(path, overrides=["task.enabled=false"]).calls == {"upload": 2, "search": 3, "create": 0}


def test_the_time_is_that_of_the_slowest_limit_and_of_the_last_answers(tmp_path: Path) -> None:
    found = plan(tmp_path, 100, api={"qps": {"search": 5, "create": 2, "upload": 1}})
    assert (found.seconds, found.binds) == (100 / 2 + 5 * 2, "create at 2 a second")


def test_a_plan_for_another_run_directory_names_the_next_one(tmp_path: Path) -> None:
    path = job(tmp_path, url="https://connect.example.com", pictures=1)
    (tmp_path / "runs" / "job").mkdir(parents=True)
    assert plan_job(path, new=True).run == str(tmp_path / "runs" / "job.2")


def test_a_faulty_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"--set search\.limit"):
        plan(tmp_path, 1, "search.limit=many")
    (tmp_path / "list.csv").unlink()
    with pytest.raises(SpecError, match=r"list\.csv"):
        plan_job(tmp_path / "job.yaml")

"""A plan: what a run would do, counted from the sources and the journal; nothing is sent or written."""

from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli import main as cli
from pipeline.cli.commands import run as commands_run
from pipeline.errors import SpecError
from pipeline.journal.places import JOURNAL, RESULTS
from pipeline.journal.storage import connect
from pipeline.offline.plan import Plan, PlannedRun, make_plan, plan_job
from pipeline.results.summary import RunSummary
from pipeline.run.load import load_spec
from pipeline.run.local import run_job
from pipeline.run.options import RunOptions
from tests.support.jobs import ACCOUNT, drawings, job, vendor


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


def calls_of(summary: RunSummary) -> dict[str, int]:
    return {kind: summary.calls_this_run[kind] for kind in ("upload", "search", "create")}


def run(path: Path, **options: object) -> RunSummary:
    return run_job(path, options=RunOptions(environment=ACCOUNT, **options))  # type: ignore[arg-type]


@pytest.mark.proofs
def test_a_mended_row_is_planned_and_asked_for_as_the_run_pays_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, other = drawings(2)
    asked: list[str] = []
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=[good, "oops"])
        assert run(path).items["failed"] == 1
        (tmp_path / "list.csv").write_text(f"id,url\nP0000,{good}\nP0001,{other}\n")
        assert plan_job(path).calls == {"upload": 0, "search": 1, "create": 1}
        monkeypatch.setattr(commands_run, "on_a_terminal", lambda **_: True)
        monkeypatch.setattr(commands_run, "ask", lambda text, **_: asked.append(text))
        for name, value in ACCOUNT.items():
            monkeypatch.setenv(name, value)
        assert cli.run(["run", str(path), "-q"]) == 0
        assert "will be sent 2 calls (0 upload, 1 search, 1 create)" in asked[0]
        assert plan_job(path).paid_calls == 0


def test_one_id_for_three_pictures_is_planned_as_one_search_and_two_bad_rows(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        (tmp_path / "list.csv").write_text("id,url\n" + "".join(f"1.23457E+12,{url}\n" for url in drawings(3)))
        planned = plan_job(path)
        assert (planned.bad, planned.repeated, planned.calls["search"]) == (2, 0, 1)
        assert calls_of(run(path)) == planned.calls


def test_a_changed_url_is_refused_by_the_plan_in_the_words_of_the_run(tmp_path: Path) -> None:
    first, second, third = drawings(3)
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=[first, second])
        run(path)
        (tmp_path / "list.csv").write_text(f"id,url\nP0000,{first}\nP0001,{third}\n")
        refused = plan_job(path).refused
        with pytest.raises(SpecError) as error:
            run(path)
    assert refused == list(error.value.lines)
    assert "'P0001' was" in refused[0]


def test_a_new_item_with_a_picture_that_is_known_already_costs_nothing(tmp_path: Path) -> None:
    [url] = drawings(1)
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=[url])
        run(path)
        (tmp_path / "list.csv").write_text(f"id,url\nP0000,{url}\nP0001,{url}#again\n")
        planned = plan_job(path)
        assert (planned.paid_calls, planned.same_picture) == (0, 1)
        assert calls_of(run(path)) == planned.calls


@pytest.mark.proofs
def test_pictures_that_are_gone_since_they_were_listed_are_not_priced(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            Image.effect_noise((64, 64), 80).save(tmp_path / name)
        (tmp_path / "list.csv").write_text("id,path\na,a.jpg\nb,b.jpg\nc,c.jpg\n")
        run(path, limit=1)
        (tmp_path / "c.jpg").unlink()
        planned = plan_job(path)
        assert planned.calls == {"upload": 1, "search": 1, "create": 1}
        assert calls_of(run(path)) == planned.calls


def test_the_question_counts_what_limit_lets_the_run_do(tmp_path: Path) -> None:
    path = job(tmp_path, url="https://connect.example.com", pictures=10)
    spec = load_spec(path)
    assert make_plan(spec, PlannedRun(limit=3)).calls == {"upload": 0, "search": 3, "create": 3}


def test_after_a_death_a_plan_counts_what_the_next_start_finds_and_changes_nothing(tmp_path: Path) -> None:
    """Two lines lie behind what the journal has committed: they are adopted, and cost nothing more."""
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=4)
        run(path)
        folder = tmp_path / "runs/job"
        with closing(connect(folder / JOURNAL)) as db:
            db.execute("DROP TRIGGER legal_changes")
            db.execute(
                "UPDATE items SET state = iif(seq = 2, 0, 2), seq = NULL, offset = NULL, length = NULL, crc = NULL, "
                "task_id = NULL WHERE seq > 1"
            )
        names = [JOURNAL, RESULTS, "open.jsonl", "summary.json"]
        before = [(folder / name).read_bytes() for name in names]
        planned = plan_job(path)
        assert (planned.paid_calls, planned.already) == (0, {"tasked": 4})
        assert [(folder / name).read_bytes() for name in names] == before

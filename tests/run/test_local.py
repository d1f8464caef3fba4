"""Whole runs through `run_job`, against a real server on loopback."""

import json
import os
import shutil
import signal
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, RunSummary, plan_job, run_job
from pipeline.calls.margin import MARGIN_S
from pipeline.errors import JournalError, RunLocked, SpecError
from pipeline.models import KINDS, Kind
from pipeline.sandbox.resources import resource
from pipeline.sandbox.tasks import read_tasks
from tests.bench.pace import worst_second
from tests.support.jobs import ACCOUNT, FaultPlan, drawings, job, lines, started, vendor
from tests.support.lengths import lengths
from tests.support.processes import ended, until, until_lines, until_logged


def run(path: Path, *overrides: str, **options: Any) -> RunSummary:
    environment = options.pop("environment", ACCOUNT)
    return run_job(path, overrides=overrides, options=RunOptions(environment=environment, **options))


def executed(folder: Path) -> list[str]:
    """List the tasks that the vendor really created."""
    return [task.task_id for task in read_tasks(folder / "vendor")]


@pytest.mark.proofs
def test_every_shipped_product_becomes_one_record_and_most_find_their_design_first(tmp_path: Path) -> None:
    summary = run(
        resource("demo.yaml"), f"root={resource('products').parent}", f"output.dir={tmp_path}", "api.qps=1000"
    )
    records = lines(tmp_path / "demo" / "results.jsonl")
    assert summary.exit_code == 0
    questions = summary.calls_this_run.pop("query")
    assert summary.calls_this_run == {"upload": 36, "search": 36, "create": 36}
    assert 36 <= questions <= 3 * 36
    assert len(records) == 36
    assert {record["status"] for record in records} == {"reported"}
    assert all(len(record["comparisons"]) == record["task"]["hits"] for record in records)
    assert {record["vendor"] for record in records} == {"sandbox"}
    assert all(record["calls"] | {"query": 1} == dict.fromkeys(KINDS, 1) for record in records)
    truth = json.loads(resource("truth.json").read_text())
    right = 0
    for record in records:
        product = truth["products"][Path(record["image"]["source"]).name]
        drawing = record["hits"][0]["url"].partition("?")[0].rpartition("/")[2]
        right += truth["gallery"][drawing]["family"] == product["family"]
    assert right >= 27


@pytest.mark.proofs
def test_a_strict_limit_and_a_short_token_lose_nothing(tmp_path: Path) -> None:
    """200 pictures at QPS 50 against a server that refuses the 51st call of any second, with 3-second tokens."""
    sent: list[tuple[Kind, float]] = []
    with vendor(tmp_path, qps=50, token_lifetime_s=3) as server:
        path = job(tmp_path, url=server.url, pictures=200, api={"qps": 50})
        summary = run(path, on_sent=lambda kind, at: sent.append((kind, at)))
        assert summary.exit_code == 0
        assert summary.items["tasked"] == 200
        # 1 % of 400 calls; but a server whose own clock comes late takes calls for closer together than they were sent.
        assert summary.refused_for_speed <= (4 if server.stats.lag_p99_s < MARGIN_S else 40)
        assert server.stats.calls("token") >= 2
        assert len(executed(tmp_path)) == 200
    for kind in (Kind.SEARCH, Kind.CREATE):
        times = [at for sent_kind, at in sent if sent_kind is kind]
        fullest = max(sum(start <= at < start + 1.0 for at in times) for start in times)
        assert fullest <= 50, kind


@pytest.mark.proofs
def test_no_secret_reaches_any_file_of_the_run(tmp_path: Path) -> None:
    secret = "canary-3f9a7c5e-secret"
    account = {"PATSNAP_CLIENT_ID": "canary-id-77aa", "PATSNAP_CLIENT_SECRET": secret}
    plan = FaultPlan.parse("search:http_502=0.1,create:lost=0.1,search:68300010=0.1")
    keys = {"client_id": account["PATSNAP_CLIENT_ID"], "client_secret": secret}
    with vendor(tmp_path, faults=plan, **keys) as server:
        run(job(tmp_path, url=server.url, pictures=40), environment=account)
    found = [
        path.name
        for path in (tmp_path / "runs").rglob("*")
        if path.is_file() and any(value.encode() in path.read_bytes() for value in account.values())
    ]
    assert found == []


def test_running_a_finished_job_again_sends_nothing(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url)
        run(path)
        before = (tmp_path / "runs" / "job" / "results.jsonl").read_bytes()
        again = run(path)
    assert again.calls_this_run == {"upload": 0, "search": 0, "create": 0}
    assert again.exit_code == 0
    assert (tmp_path / "runs" / "job" / "results.jsonl").read_bytes() == before


def test_items_with_one_picture_are_paid_once(tmp_path: Path) -> None:
    url = drawings(1)[0]
    with vendor(tmp_path) as server:
        summary = run(job(tmp_path, url=server.url, pictures=[url, url, url]))
    records = lines(tmp_path / "runs" / "job" / "results.jsonl")
    assert summary.calls_this_run == {"upload": 0, "search": 1, "create": 1}
    assert [record["item"] for record in records] == ["P0000", "P0001", "P0002"]
    assert len({record["task"]["task_id"] for record in records}) == 1
    assert [record.get("same_as") for record in records] == [None, "P0000", "P0000"]


def test_copies_of_a_file_are_uploaded_searched_and_created_once(tmp_path: Path) -> None:
    picture = (resource("gallery") / "bag-0-1.png").read_bytes()
    for name in ("photos/a.jpg", "photos/sub/b.jpg", "more/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(picture)
    (tmp_path / "photos" / "up").symlink_to("..")
    images = [{"path": "photos/**/*.jpg"}, {"id": "C", "path": "./more//c.jpg"}]
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, images=images)
        plan = plan_job(path)
        summary = run(path)
        again = run(path)
    assert (plan.items, plan.same_picture) == (3, 2)
    assert plan.calls == summary.calls_this_run == {"upload": 1, "search": 1, "create": 1}
    assert again.calls_this_run == {"upload": 0, "search": 0, "create": 0}
    first, *others = lines(tmp_path / "runs" / "job" / "results.jsonl")
    assert [record["same_as"] for record in others] == [first["item"]] * 2


def test_a_lost_answer_of_a_create_is_in_doubt_and_never_sent_again(tmp_path: Path) -> None:
    plan = FaultPlan.scripted({"create": ["ok", "lost"]})
    with vendor(tmp_path, faults=plan) as server:
        path = job(tmp_path, url=server.url, pictures=3)
        first = run(path)
        second = run(path)
    assert (first.exit_code, first.items["tasked"], first.items["in_doubt"]) == (1, 2, 1)
    assert second.calls_this_run == {"upload": 0, "search": 0, "create": 0}
    [record] = lines(tmp_path / "runs" / "job" / "open.jsonl")
    assert record["status"] == "in_doubt"
    assert record["error"]["request_id"]
    assert len(executed(tmp_path)) == 3


@pytest.mark.proofs
def test_what_failed_in_passing_is_retried_by_the_next_run_and_what_was_refused_is_not(tmp_path: Path) -> None:
    plan = FaultPlan.scripted({"search": ["68300010", *["68300005"] * 3]})
    with vendor(tmp_path, faults=plan) as server:
        path = job(tmp_path, url=server.url, pictures=2, api={"max_in_flight": 1})
        first = run(path)
        second = run(path)
    assert first.items["failed"] == 2
    assert (second.items["tasked"], second.items["failed"]) == (1, 1)
    [record] = lines(tmp_path / "runs" / "job" / "open.jsonl")
    assert record["error"]["code"] == "68300010"
    assert record["error"]["retryable"] is False


@pytest.mark.proofs
@pytest.mark.parametrize(
    ("settings", "exit_code", "said"),
    [
        pytest.param({"balance": 7}, 4, "67200005", id="balance used up"),
        pytest.param({"daily_limit": 7}, 4, "67200007", id="daily limit reached"),
        pytest.param({"client_secret": "another"}, 3, "PATSNAP_CLIENT_SECRET", id="wrong credentials"),
        pytest.param({"faults": FaultPlan.parse("search:67200004=1")}, 3, "67200004", id="no permission"),
    ],
)
def test_a_run_that_cannot_go_on_says_why_and_loses_nothing(
    tmp_path: Path, settings: dict[str, Any], exit_code: int, said: str
) -> None:
    with vendor(tmp_path, **settings) as server:
        path = job(tmp_path, url=server.url, pictures=30, api={"qps": 100})
        summary = run(path)
    assert summary.exit_code == exit_code
    assert said in summary.exit_reason
    assert summary.items["settled"] + summary.items["not_started"] == 30
    assert summary.items["tasked"] == len(executed(tmp_path))
    with vendor(tmp_path) as server:
        done = run(path, f"api.base_url={server.url}")
    assert done.exit_code == 0
    assert len(executed(tmp_path)) == 30


@pytest.mark.proofs
def test_a_budget_is_a_hard_cap_over_the_life_of_the_run_directory(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=20, api={"budget": {"search_calls": 7}})
        first, second = run(path), run(path)
        assert first.exit_code == second.exit_code == 4
        assert "api.budget.search_calls is 7" in first.exit_reason
        assert server.stats.calls("search") == 7
        assert run(path, "api.budget.search_calls=20").exit_code == 0
        assert server.stats.calls("search") == 20


def test_a_dead_server_pauses_the_run_with_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as holder:  # bound, so that no other test's server gets the port, and not listening
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        summary = run(job(tmp_path, url=f"http://127.0.0.1:{port}", pictures=30, api={"patience_s": 1}))
    assert summary.exit_code == 4
    assert f"127.0.0.1:{port}" in summary.exit_reason
    assert "\n" not in summary.exit_reason


@pytest.mark.proofs
def test_another_search_in_the_same_run_directory_is_refused_with_the_difference(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url)
        run(path, limit=2)
        with pytest.raises(SpecError, match=r"search.limit was 3, is now 5"):
            run(path, "search.limit=5")
        assert run(path, "search.limit=5", accept_changes=True).exit_code == 0
    params = Counter(record["search"]["params"]["limit"] for record in lines(tmp_path / "runs/job/results.jsonl"))
    assert params == {3: 2, 5: 3}


@pytest.mark.proofs
def test_another_picture_behind_a_known_id_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    first, second, third = drawings(3)
    with vendor(tmp_path) as server:
        run(job(tmp_path, url=server.url, pictures=[first, second]))
        path = job(tmp_path, url=server.url, pictures=[first, third, *drawings(9)[4:]])
        with pytest.raises(SpecError, match="P0001"):
            run(path)
        with pytest.raises(SpecError, match="P0001"):
            run(path)
        assert server.stats.calls("search") == 2
        done = run(job(tmp_path, url=server.url, pictures=[first, second, *drawings(9)[4:]]))
        assert (done.exit_code, done.items["all"]) == (0, 7)


@pytest.mark.proofs
def test_a_run_directory_of_the_sandbox_is_refused_for_a_vendor(tmp_path: Path) -> None:
    """Hits of the sandbox say nothing of a real database, and their links lead nowhere there."""
    with vendor(tmp_path) as server:
        path = job(tmp_path, url="sandbox", pictures=2)
        run(path)
        with pytest.raises(SpecError, match=r"belongs to sandbox, not to 127\.0\.0\.1"):
            run(path, f"api.base_url={server.url}", accept_changes=True)
        assert server.stats.calls("search") == 0


@pytest.mark.proofs
def test_a_record_says_what_was_really_asked(tmp_path: Path) -> None:
    """A search that is paid already keeps its parameters, though the job was changed and that was accepted."""
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["67200005"]})) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        assert run(path).exit_code == 4
        run(path, "search.limit=1", accept_changes=True)
    records = lines(tmp_path / "runs/job/results.jsonl")
    assert [(record["search"]["params"]["limit"], record["search"]["hits"]) for record in records] == [(3, 3)]


@pytest.mark.proofs
def test_new_items_are_added_and_removed_ones_are_kept_and_counted(tmp_path: Path) -> None:
    urls = drawings(6)
    with vendor(tmp_path) as server:
        run(job(tmp_path, url=server.url, pictures=urls[:4]))
        rows = "".join(f"P{n:04},{urls[n]}\n" for n in (0, 1, 4, 5))
        (tmp_path / "list.csv").write_text(f"id,url\n{rows}")
        said: list[str] = []
        summary = run(tmp_path / "job.yaml", say=said.append)
    assert (summary.items["all"], summary.items["tasked"], summary.items["removed"]) == (4, 4, 2)
    [told] = [line for line in said if "not listed" in line]
    assert told.startswith("note: 2 paid items are not listed any more")
    assert len(lines(tmp_path / "runs/job/results.jsonl")) == 6


@pytest.mark.proofs
def test_new_starts_another_run_directory_and_the_next_run_goes_on_with_it(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2)
        run(path)
        assert run(path, new=True).run == "job.2"
        again = run(path)
    assert (again.run, again.calls_this_run["search"]) == ("job.2", 0)


def test_a_bad_row_becomes_a_failed_item_and_its_correction_is_worked_on(tmp_path: Path) -> None:
    good, other = drawings(2)
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=[good, "ftp://nowhere"])
        first = run(path)
        [record] = lines(tmp_path / "runs/job/open.jsonl")
        assert (first.exit_code, record["item"]) == (1, "P0001")
        assert "list.csv:3" in record["error"]["message"]
        second = run(job(tmp_path, url=server.url, pictures=[good, other]))
    assert (second.exit_code, second.items["tasked"], second.items["all"]) == (0, 2, 2)


@pytest.mark.proofs
def test_a_picture_that_was_mended_is_worked_on_by_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no picture")
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, images=[{"id": "A", "path": "a.jpg"}])
        first = run(path)
        shutil.copy(resource("products") / "mug-0.jpg", tmp_path / "a.jpg")
        second = run(path)
        assert server.stats.calls("upload") == 1
    assert (first.exit_code, first.items["failed"]) == (1, 1)
    assert (second.exit_code, second.items["tasked"]) == (0, 1)


@pytest.mark.proofs
def test_a_second_process_is_turned_away_with_the_holder_named(tmp_path: Path) -> None:
    with vendor(tmp_path, latency_s=0.5) as server:
        path = job(tmp_path, url=server.url, pictures=50, api={"qps": 5})
        with started("run", path, cwd=tmp_path, **ACCOUNT) as process:
            until_lines(tmp_path / "runs/job/results.jsonl", by=process)
            with pytest.raises(RunLocked, match=str(process.pid)) as refusal:
                run(path, share=0.5)
    assert str(refusal.value).startswith(f"{tmp_path / 'runs/job'}: in use"), "of the directory, not of the account"


def test_a_changed_results_file_stops_the_run_before_anything_is_sent(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=3)
        run(path, limit=2)
        results = tmp_path / "runs/job/results.jsonl"
        results.write_bytes(results.read_bytes()[:-40])
        with pytest.raises(JournalError, match="shortened"):
            run(path)
        assert server.stats.calls("search") == 2


@pytest.mark.parametrize("count", lengths(short=30, long=120))
def test_a_killed_run_goes_on_without_losing_or_repeating_a_task(tmp_path: Path, count: int) -> None:
    """A real kill -9 in the middle, again after each thirty items; then to the end."""
    with vendor(tmp_path, latency_s=0.05) as server:
        path = job(tmp_path, url=server.url, pictures=count, api={"qps": 40})
        for settled in range(10, count - 20, 30):
            with started("run", path, "--quiet", cwd=tmp_path, **ACCOUNT) as process:
                until_lines(tmp_path / "runs/job/results.jsonl", settled, by=process)
        summary = run(path)
    records = lines(tmp_path / "runs/job/results.jsonl")
    tasks = [record["task"]["task_id"] for record in records]
    doubts = {record["item"] for record in lines(tmp_path / "runs/job/open.jsonl")}
    assert summary.items["settled"] + summary.items["in_doubt"] == count
    assert len({record["item"] for record in records}) == len(records)
    assert len(set(tasks)) == len(tasks)
    created = executed(tmp_path)
    assert set(tasks) <= set(created)
    assert len(set(created) - set(tasks)) <= len(doubts)  # what was executed and not recorded is in doubt


@pytest.mark.proofs
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_the_first_signal_finishes_what_is_in_flight(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with vendor(tmp_path, latency_s=0.2) as server:
        path = job(tmp_path, url=server.url, pictures=200, api={"qps": 20, "max_in_flight": 8})
        with started("run", path, cwd=tmp_path, **ACCOUNT) as process:
            until_lines(tmp_path / "runs/job/results.jsonl", 3, by=process)
            process.send_signal(number)
            _, said = ended(process)
    summary = json.loads((tmp_path / "runs/job/summary.json").read_text())
    assert process.returncode == summary["exit_code"] == code, said
    assert summary["items"]["in_doubt"] == 0
    assert summary["items"]["tasked"] == len(executed(tmp_path))
    assert summary["items"]["not_started"] == 200 - summary["items"]["tasked"]


@pytest.mark.proofs
def test_the_second_signal_stops_at_once_and_names_what_is_in_doubt(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.parse("create:hang@4-200")) as server:
        path = job(tmp_path, url=server.url, pictures=50, api={"qps": 20})
        with started("run", path, cwd=tmp_path, **ACCOUNT) as process:
            until_lines(tmp_path / "runs/job/results.jsonl", 3, by=process)
            until(lambda: server.stats.calls("create") > 3, by=process)  # and its answer never comes
            process.send_signal(signal.SIGINT)
            until_logged(tmp_path / "runs/job", "run.draining", by=process)
            process.send_signal(signal.SIGINT)
            ended(process)
    summary = json.loads((tmp_path / "runs/job/summary.json").read_text())
    assert process.returncode == 130
    assert summary["items"]["in_doubt"] >= 1
    created = len(executed(tmp_path))
    assert summary["items"]["tasked"] <= created <= summary["items"]["tasked"] + summary["items"]["in_doubt"]


def test_credentials_are_read_from_a_file_beside_the_job(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PATSNAP_API_KEY=sandbox-key\n")
    with vendor(tmp_path) as server:
        summary = run(job(tmp_path, url=server.url, pictures=1), environment={})
        assert summary.exit_code == 0
        assert server.stats.calls("token") == 0


def test_files_of_a_run_are_for_their_owner_alone(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        run(job(tmp_path, url=server.url, pictures=2))
    folder = tmp_path / "runs/job"
    loose = [path.name for path in folder.rglob("*") if path.stat().st_mode & 0o077]
    assert loose == []
    assert folder.stat().st_mode & 0o077 == 0


def test_the_umask_of_the_caller_is_left_as_it_was(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with vendor(tmp_path) as server:
            run(job(tmp_path, url=server.url, pictures=1))
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


@pytest.mark.proofs
def test_a_death_while_changed_sources_are_read_sends_nothing_afterwards(tmp_path: Path) -> None:
    """The journal must not remember changed sources as begun: a known id may show another picture in them."""
    first, second, third = drawings(3)
    with vendor(tmp_path) as server:
        run(job(tmp_path, url=server.url, pictures=[first, second]))
        path = job(tmp_path, url=server.url, pictures=[first, third, *drawings(9)[4:]])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipeline.engine.intake.Intake.run_whole", _die)
            with pytest.raises(KeyboardInterrupt):
                run(path)
        with pytest.raises(SpecError, match="P0001"):
            run(path)
        assert server.stats.calls("search") == 2


async def _die(_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.proofs
@pytest.mark.parametrize("count", [1, 2])
def test_a_server_that_is_not_there_is_named_at_once_and_in_the_last_line(count: int, tmp_path: Path) -> None:
    """Whoever mistyped the address sees so at once; nothing was sent, so no item fails for it."""
    images = [f"{{url: 'https://pictures.example/{number}.jpg'}}" for number in range(count)]
    path = tmp_path / "job.yaml"
    api = "{base_url: 'http://127.0.0.1:9', patience_s: 0.5}"  # nobody listens there
    path.write_text(f"version: 1\nname: job\nimages: [{', '.join(images)}]\napi: {api}\noutput: {{dir: runs}}\n")
    said: list[str] = []
    summary = run(path, environment={"PATSNAP_API_KEY": "a-key"}, say=said.append)
    why = "the vendor could not be reached (not_sent: 127.0.0.1:9: "
    assert (summary.exit_code, summary.items["not_started"], summary.items["open"]) == (4, count, 0)
    assert summary.exit_reason.startswith(why)
    assert "api.base_url" in summary.exit_reason
    assert said[0].startswith(why)
    assert "Ctrl-C" in said[0]


@pytest.mark.proofs
@pytest.mark.usefixtures("quiet_second")
def test_two_runs_of_an_account_one_behind_the_other_keep_to_its_calls_in_any_second(tmp_path: Path) -> None:
    sent: list[float] = []
    options = RunOptions(environment=ACCOUNT, on_sent=lambda kind, at: sent.append(at) if kind is Kind.SEARCH else None)
    with vendor(tmp_path) as server:
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            path = job(tmp_path / name, url=server.url, pictures=4, api={"qps": 5}, task={"enabled": False})
            assert run_job(path, options=options).exit_code == 0
    assert len(sent) == 8
    assert worst_second(sent)[0] <= 5

"""`pipeline resolve`: what a person decides about items in doubt is applied whole, exactly, and without a call."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pipeline import RunOptions, RunSummary, run_job
from pipeline.cli import main as cli
from pipeline.errors import SpecError
from pipeline.journal.storage import connect
from pipeline.models import HITS_LIFE_S, State
from pipeline.offline.decisions import read_decisions
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.tasks import read_tasks
from tests.support.fakes import assert_index_matches, assert_settled_once, rows, states
from tests.support.jobs import ACCOUNT, FaultPlan, drawings, job, lines, vendor
from tests.support.lengths import only_short
from tests.support.told import faults_in

LOST_TWICE = FaultPlan.scripted({"create": ["lost", "lost", "lost"]})
TASK = "task-found-at-the-vendor"


def run(path: Path, *overrides: str) -> RunSummary:
    return run_job(path, overrides=overrides, options=RunOptions(environment=ACCOUNT))


class Doubtful:
    """A run directory with three of five items in doubt, and its vendor."""

    def __init__(self, folder: Path, server: SandboxServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = job(folder, url=server.url)
        run(self.path)
        self.run = folder / "runs" / "job"
        self.server = server
        self._capsys = capsys
        self.ids = [record["item"] for record in lines(self.run / "open.jsonl")]

    def resolve(self, *arguments: str | Path) -> tuple[int, str, str]:
        code = cli.run(["resolve", str(self.run), *map(str, arguments)])
        out, err = self._capsys.readouterr()
        return code, out, err

    def everything(self) -> dict[str, Any]:
        return {str(path): path.read_bytes() for path in self.run.glob("*.jsonl")} | {"states": states(self.run)}


@pytest.fixture
def doubtful(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Doubtful]:
    with vendor(tmp_path, faults=LOST_TWICE) as server:
        yield Doubtful(tmp_path, server, capsys)


def test_created_settles_the_item_with_its_hits_and_the_task_that_was_found(doubtful: Doubtful) -> None:
    first = doubtful.ids[0]
    calls = doubtful.server.stats.calls("create"), doubtful.server.stats.calls("search")
    code, out, _ = doubtful.resolve("--created", first, TASK)
    assert code == 0
    assert out.splitlines() == [
        f"{first}: settled as tasked, task {TASK} (line 3 of results.jsonl)",
        "1 decided, 2 still in doubt; `pipeline run` goes on with the job",
    ]
    record = lines(doubtful.run / "results.jsonl")[-1]
    assert (record["item"], record["status"], record["task"]["task_id"]) == (first, "tasked", TASK)
    assert len(record["hits"]) == record["search"]["hits"] == record["task"]["hits"] == 3
    assert record["calls"] == {"upload": 0, "search": 1, "create": 1}
    assert "hits_lost" not in record
    assert_index_matches(doubtful.run)
    assert_settled_once(doubtful.run)
    assert calls == (doubtful.server.stats.calls("create"), doubtful.server.stats.calls("search"))


@pytest.mark.proofs
def test_created_in_a_job_that_waits_for_reports_is_asked_for_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["lost"]})) as server:
        path = job(tmp_path, url=server.url, pictures=1, task={"report": "wait"})
        assert run(path).items["in_doubt"] == 1
        (task,) = read_tasks(tmp_path / "vendor")
        assert cli.run(["resolve", str(tmp_path / "runs/job"), "--created", "P0000", task.task_id]) == 0
        assert f"its task is {task.task_id}; the next run asks for its report" in capsys.readouterr().out
        assert states(tmp_path / "runs/job") == {"P0000": State.REPORT_PENDING}
        assert run(path).items["reported"] == 1
    (record,) = lines(tmp_path / "runs/job/results.jsonl")
    assert (record["task"]["task_id"], len(record["hits"]), len(record["comparisons"])) == (task.task_id, 3, 3)
    assert server.stats.calls("create") == 1


@pytest.mark.proofs
def test_created_without_its_hits_says_so_in_the_line(doubtful: Doubtful) -> None:
    for segment in (doubtful.run / "spool").iterdir():
        segment.unlink()
    code, out, _ = doubtful.resolve("--created", doubtful.ids[0], TASK)
    assert code == 0
    assert "its hits are lost" in out
    record = lines(doubtful.run / "results.jsonl")[-1]
    assert (record["hits_lost"], record["hits"], record["task"]["hits"]) == (True, [], 3)
    assert record["search"]["total"] > 0


@pytest.mark.parametrize("decision", ["--not-created", "--retry"])
def test_what_was_not_created_waits_with_its_hits_and_the_next_run_creates_it(
    doubtful: Doubtful, decision: str
) -> None:
    first = doubtful.ids[0]
    code, out, _ = doubtful.resolve(decision, first)
    assert code == 0
    assert f"{first}: waits again with its hits" in out
    assert ("paid twice" in out) is (decision == "--retry")
    assert states(doubtful.run)[first] is State.SEARCHED
    summary = run(doubtful.path)
    assert summary.calls_this_run == {"upload": 0, "search": 0, "create": 1}
    assert states(doubtful.run)[first] is State.TASKED


def test_without_its_hits_it_is_searched_again(doubtful: Doubtful) -> None:
    for segment in (doubtful.run / "spool").iterdir():
        segment.unlink()
    _, out, _ = doubtful.resolve("--not-created", doubtful.ids[0])
    assert "without its hits" in out
    assert run(doubtful.path).calls_this_run == {"upload": 0, "search": 1, "create": 1}


@pytest.mark.proofs
def test_hits_that_are_too_old_for_a_task_are_searched_again(
    doubtful: Doubtful, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.journal.paid_hits.HITS_LIFE_S", HITS_LIFE_S - HITS_LIFE_S)
    assert "without its hits" in doubtful.resolve("--not-created", doubtful.ids[0])[1]
    assert states(doubtful.run)[doubtful.ids[0]] is State.PENDING


@pytest.mark.proofs
@pytest.mark.parametrize("decision", ["not-created", "retry"])
def test_all_decides_about_every_item_in_doubt(doubtful: Doubtful, decision: str) -> None:
    code, out, _ = doubtful.resolve("--all", decision)
    assert code == 0
    assert out.splitlines()[-1].startswith("3 decided, 0 still in doubt")
    assert run(doubtful.path).items["tasked"] == 5


def test_open_and_summary_are_written_anew(doubtful: Doubtful) -> None:
    doubtful.resolve("--created", doubtful.ids[0], TASK, "--not-created", doubtful.ids[1])
    assert [record["item"] for record in lines(doubtful.run / "open.jsonl")] == doubtful.ids[2:]
    summary = json.loads((doubtful.run / "summary.json").read_text())
    assert (summary["items"]["tasked"], summary["items"]["in_doubt"], summary["items"]["not_started"]) == (3, 1, 1)
    assert summary["exit_code"] == 1
    assert "pipeline resolve" in summary["exit_reason"]
    assert TASK in (doubtful.run / "report.html").read_text()


def test_a_file_of_decisions_is_applied(doubtful: Doubtful, tmp_path: Path) -> None:
    first, second, third = doubtful.ids
    file = tmp_path / "decisions.csv"
    file.write_text(
        f"decision,id,task_id\ncreated,{first},{TASK}\nnot-created,{second},\n\nretry,{third},\n", "utf-8-sig"
    )
    code, out, _ = doubtful.resolve("--from", file)
    assert code == 0
    assert len(out.splitlines()) == 4
    word = {State.TASKED: "created", State.SEARCHED: "waits"}
    assert [word[states(doubtful.run)[id_]] for id_ in doubtful.ids] == ["created", "waits", "waits"]


def test_every_bad_row_of_a_file_is_named_with_its_line_and_nothing_is_applied(
    doubtful: Doubtful, tmp_path: Path
) -> None:
    first, second, _ = doubtful.ids
    file = tmp_path / "decisions.csv"
    file.write_text(
        f"id,decision,task_id\n{first},not-created,\n{second},created,\n,retry,\n{second},maybe,\n{second},retry,x\n"
        f"{second},retry\n{second},created,-x\n"
    )
    before = doubtful.everything()
    code, out, err = doubtful.resolve("--from", file)
    assert (code, out) == (2, "")
    assert [told.at.rpartition(":")[2] for told in faults_in(err)[:-1]] == ["3", "4", "5", "6", "7", "8"]
    assert err.splitlines()[-1] == "nothing was applied"
    assert doubtful.everything() == before


WRONG: list[tuple[list[str], str]] = [
    (["--created", "nobody", TASK], "no item 'nobody'"),
    (["--not-created", "{settled}"], "is not in doubt, it is tasked"),
    (["--retry", "{1}", "--not-created", "{1}"], "is decided twice"),
    (["--created", "{1}", "{task}"], "is the one of"),
    (["--created", "{1}", TASK, "--created", "{2}", TASK], "is the one of"),
    (["--created", "{1}", "a\tb"], "is no task id"),
    (["--created", "{1}", "--retry={2}"], "'--retry=P"),
    (["--created", "{1}", "short"], "'short' is no task id"),
    (["--all", "created"], "a task id of its own"),
    (["--all", "maybe"], "allowed: not-created, retry"),
    (["--all", "retry", "--retry", "{1}"], "leave out the other"),
    ([], "nothing was decided"),
    (["--from", "nowhere.csv"], "cannot be read: No such file or directory\n  at: nowhere.csv"),
]


def test_one_wrong_decision_and_nothing_is_applied(doubtful: Doubtful) -> None:
    settled = lines(doubtful.run / "results.jsonl")[0]
    names = {"{1}": doubtful.ids[1], "{2}": doubtful.ids[2]}
    names |= {"{settled}": settled["item"], "{task}": settled["task"]["task_id"]}
    before = doubtful.everything()
    for decisions, said in WRONG:
        good = [] if "--all" in decisions or not decisions else ["--not-created", doubtful.ids[0]]
        for name, id_ in names.items():
            decisions = [part.replace(name, id_) for part in decisions]
        code, out, err = doubtful.resolve(*good, *decisions)
        assert (code, out) == (2, ""), decisions
        assert said in err
        assert doubtful.everything() == before, decisions


@pytest.mark.proofs
def test_a_run_that_is_under_way_is_not_touched(doubtful: Doubtful) -> None:
    with FileLock(doubtful.run / "lock"):
        code, _, err = doubtful.resolve("--not-created", doubtful.ids[0])
    assert code == 6
    assert "in use by another process" in err


def test_a_folder_without_a_run_is_refused_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["resolve", str(tmp_path / "nowhere"), "--all", "retry"]) == 2
    assert "no run here" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_each_decision_is_kept_with_the_request_it_is_about(doubtful: Doubtful) -> None:
    asked = {record["item"]: record["error"]["request_id"] for record in lines(doubtful.run / "open.jsonl")}
    first, second, third = doubtful.ids
    doubtful.resolve("--created", first, TASK, "--not-created", second, "--retry", third)
    journal = connect(doubtful.run / "journal.sqlite")
    kept = journal.execute(
        "SELECT id, decision, request_id, decisions.task_id FROM decisions JOIN items USING (ord) ORDER BY ord"
    ).fetchall()
    journal.close()
    assert kept == [
        (first, "created", asked[first], TASK),
        (second, "not-created", asked[second], None),
        (third, "retry", asked[third], None),
    ]


def test_items_with_the_same_picture_follow_what_was_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = drawings(1)[0]
    with vendor(tmp_path, faults=LOST_TWICE) as server:
        path = job(tmp_path, url=server.url, pictures=[url, url])
        run(path)
        assert cli.run(["resolve", str(tmp_path / "runs/job"), "--created", "P0000", TASK]) == 0
        summary = run(path)
    capsys.readouterr()
    assert (summary.exit_code, summary.calls_this_run["create"]) == (0, 0)
    assert {record["task"]["task_id"] for record in lines(tmp_path / "runs/job/results.jsonl")} == {TASK}


def test_a_death_between_the_line_and_the_commit_keeps_the_decision(
    doubtful: Doubtful, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is on disk and names a task that the vendor has: the next start takes it as decided."""

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.journal.sql.changes.settle", die)
        assert doubtful.resolve("--created", doubtful.ids[0], TASK)[0] == 130
    assert states(doubtful.run)[doubtful.ids[0]] is State.IN_DOUBT
    code, _, err = doubtful.resolve("--created", doubtful.ids[0], TASK)
    assert (code, "it is tasked" in err) == (2, True)
    assert_index_matches(doubtful.run)
    assert_settled_once(doubtful.run)
    assert len(rows(doubtful.run)) == 5


@pytest.mark.proofs
def test_what_waits_is_not_called_searched(doubtful: Doubtful) -> None:
    """`searched` is the word for a settled item; this one has its hits and waits."""
    first = doubtful.ids[0]
    doubtful.resolve("--not-created", first)
    code, _, err = doubtful.resolve("--not-created", first)
    assert (code, f"{first!r} is not in doubt, it waits for the next run" in err) == (2, True)


@pytest.mark.proofs
@pytest.mark.parametrize("file", only_short(["open.jsonl", "summary.json", "report.html"], "open.jsonl"))
def test_what_was_decided_is_said_though_a_file_cannot_be_written_afterwards(doubtful: Doubtful, file: str) -> None:
    (doubtful.run / file).unlink()
    (doubtful.run / file).mkdir()
    decisions = ["--not-created", doubtful.ids[0]]
    if file == "open.jsonl":  # what it names was shown: without it nothing is decided
        assert doubtful.resolve(*decisions)[0] == 2
        return
    code, out, err = doubtful.resolve(*decisions)
    assert (code, len(out.splitlines())) == (0, 2)
    assert f"{doubtful.ids[0]}: waits again" in out
    assert ("could not be written anew" in err) is (file == "summary.json")


@pytest.mark.proofs
def test_a_bug_in_the_report_takes_nothing_from_what_was_decided(
    doubtful: Doubtful, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("pipeline.offline.refresh.write_outputs", bug)
    code, out, err = doubtful.resolve("--not-created", doubtful.ids[0])
    assert (code, len(out.splitlines())) == (0, 2)
    assert "could not be written anew (ZeroDivisionError: a bug)" in err


# --- after a kill: nobody decides about what nobody was shown ---


class Killed:
    """A run of six items, killed after an earlier one had ended: one item in doubt is known, two creates were out."""

    def __init__(self, folder: Path, server: SandboxServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = job(folder, url=server.url, pictures=6, api={"max_in_flight": 1})
        run_job(self.path, options=RunOptions(environment=ACCOUNT, limit=3))
        self.run = folder / "runs" / "job"
        self._capsys = capsys
        [self.known] = [record["item"] for record in lines(self.run / "open.jsonl")]
        self.new = ["P0003", "P0004"]
        journal = connect(self.run / "journal.sqlite")
        journal.execute(
            "UPDATE items SET state = 2, intent = 'r', intent_at = 1795262400, calls = ? WHERE id IN (?, ?)",
            ('{"upload": 0, "search": 1, "create": 1}', *self.new),
        )
        journal.execute("UPDATE calls SET reserved = reserved + 16 WHERE kind IN ('search', 'create')")
        journal.execute("UPDATE meta SET value = '2026-11-21T12:00:00.000Z' WHERE key = 'started_at'")
        journal.execute("UPDATE meta SET value = '0' WHERE key = 'clean'")
        journal.close()

    def command(self, name: str, *arguments: str) -> tuple[int, str, str]:
        code = cli.run([name, str(self.run), *arguments])
        out, err = self._capsys.readouterr()
        return code, out, err


@pytest.fixture
def killed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Killed]:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["lost"]})) as server:
        yield Killed(tmp_path, server, capsys)


@pytest.mark.proofs
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["resolve", "--all", "not-created"], id="resolve --all"),
        pytest.param(["resolve", "--not-created", "P0003"], id="one that is new"),
        pytest.param(["retry", "--only", "in-doubt", "-q"], id="retry"),
    ],
)
def test_nothing_is_decided_about_items_that_the_kill_put_in_doubt_until_they_were_shown(
    killed: Killed, command: list[str]
) -> None:
    code, out, err = killed.command(command[0], *command[1:])
    assert (code, out) == (2, "")
    assert "2 more items are in doubt since the run died, and nobody was shown: P0003, P0004" in err
    assert "Nothing was decided" in err
    assert [record["item"] for record in lines(killed.run / "open.jsonl")] == [killed.known, *killed.new]
    now = states(killed.run)
    assert {now[id_] for id_ in (killed.known, *killed.new)} == {State.IN_DOUBT}
    code, out, err = killed.command(command[0], *command[1:])
    assert (code == 2, "nobody was shown" in err) == (False, False), err


@pytest.mark.proofs
def test_what_was_shown_before_may_be_decided_by_its_name(killed: Killed) -> None:
    code, out, _ = killed.command("resolve", "--not-created", killed.known)
    assert (code, out.splitlines()[-1].startswith("1 decided, 2 still in doubt")) == (0, True)
    assert [record["item"] for record in lines(killed.run / "open.jsonl")] == killed.new


@pytest.mark.proofs
def test_a_run_that_was_killed_and_never_showed_anything_shows_first(killed: Killed) -> None:
    (killed.run / "open.jsonl").unlink()
    assert killed.command("resolve", "--all", "retry")[0] == 2
    code, out, _ = killed.command("resolve", "--all", "retry")
    assert (code, out.splitlines()[-1].startswith("3 decided, 0 still")) == (0, True)


@pytest.mark.proofs
def test_status_shows_the_creates_that_were_under_way_at_the_kill_as_in_doubt(killed: Killed) -> None:
    code, out, _ = killed.command("status")
    assert code == 0
    assert "2 creates were under way when the run died; they are in doubt" in out
    shown = json.loads(killed.command("status", "--json")[1])
    assert (shown["items"]["in_doubt"], shown["items"]["not_started"], shown["items"]["all"]) == (3, 1, 6)


@pytest.mark.proofs
def test_the_summary_of_a_killed_run_takes_its_calls_from_the_journal_and_none_from_an_older_run(
    killed: Killed,
) -> None:
    before = json.loads((killed.run / "summary.json").read_text())
    assert before["calls_this_run"]["search"] == 3
    killed.command("resolve", "--not-created", killed.known)
    after = json.loads((killed.run / "summary.json").read_text())
    assert after["calls"]["search"] == {"sent": 5, "unknown": 14, "budget": None}
    assert after["calls_this_run"] == {"upload": 0, "search": 0, "create": 0}
    assert after["calls_per_settled"]["search"] == 2.5
    assert after["started_at"] == "2026-11-21T12:00:00.000Z"
    assert after["units_billed"] == before["units_billed"]
    status = json.loads(killed.command("status", "--json")[1])
    assert status["calls"]["search"] == 5


def test_the_summary_of_a_run_that_ended_keeps_what_that_run_sent(doubtful: Doubtful) -> None:
    before = json.loads((doubtful.run / "summary.json").read_text())
    doubtful.resolve("--not-created", doubtful.ids[0])
    after = json.loads((doubtful.run / "summary.json").read_text())
    kept = ("calls", "calls_this_run", "units_billed", "started_at", "finished_at")
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}


@pytest.mark.parametrize("separator", [";", "\t"], ids=["semicolons", "tabs"])
def test_a_file_with_another_separator_is_told_that_it_must_be_a_comma(tmp_path: Path, separator: str) -> None:
    """Spreadsheets write semicolons in half of Europe."""
    file = tmp_path / "decisions.csv"
    file.write_text(separator.join(("id", "decision", "task_id")) + "\n")
    with pytest.raises(SpecError, match="the separator must be a comma"):
        read_decisions(file)

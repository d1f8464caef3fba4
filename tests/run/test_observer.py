"""Programs that look on: each record once and durable, whatever they raise; and a run that they end."""

import threading
from pathlib import Path

from pipeline import Progress, RecordView, RunOptions, Stop, run_job
from pipeline.models import Kind
from pipeline.results.records import read_records
from tests.support.jobs import ACCOUNT, drawings, job, vendor


class Seen:
    """An observer that remembers; `act` is called with each record."""

    def __init__(self, results: Path, act: object = None) -> None:
        self.items: list[str] = []
        self.durable: list[bool] = []
        self._results = results
        self._act = act

    def update(self, progress: Progress) -> None:
        """Look at the progress, and fail at it."""
        raise RuntimeError("the display broke")

    def record(self, record: RecordView) -> None:
        """Remember a record and whether it was in the file by then."""
        self.items.append(record.item)
        self.durable.append(f'"item":"{record.item}"' in self._results.read_text())
        if callable(self._act):
            self._act(record)


def options(observer: object = None, **more: object) -> RunOptions:
    return RunOptions(observer=observer, environment=ACCOUNT, **more)


def test_each_record_is_told_once_and_is_in_the_file_by_then(tmp_path: Path) -> None:
    """Twins too, whose outcome costs nothing; and a second run tells of nothing that was told before."""
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=[*drawings(4), drawings(1)[0]])
        seen = Seen(tmp_path / "runs/job/results.jsonl")
        assert run_job(path, options=options(seen)).items["settled"] == 5
        assert sorted(seen.items) == [f"P{n:04}" for n in range(5)]
        assert all(seen.durable)
        again = Seen(tmp_path / "runs/job/results.jsonl")
        assert run_job(path, options=options(again)).exit_code == 0
        assert again.items == []


def test_what_an_observer_raises_costs_the_run_nothing(tmp_path: Path) -> None:
    def fail(record: RecordView) -> None:
        raise ValueError(record.item)

    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=3)
        seen = Seen(tmp_path / "runs/job/results.jsonl", fail)
        summary = run_job(path, options=options(seen))
    assert (summary.exit_code, len(seen.items)) == (0, 3)
    assert (tmp_path / "runs/job/run.log.jsonl").read_text().count("observer.failed") == 3


def test_an_observer_without_record_is_shown_the_progress(tmp_path: Path) -> None:
    class Display:
        shown = 0

        def update(self, progress: Progress) -> None:
            self.shown += 1

    display = Display()
    with vendor(tmp_path) as server:
        assert run_job(job(tmp_path, url=server.url, pictures=2), options=options(display)).exit_code == 0
    assert display.shown > 0


def test_a_run_is_ended_by_its_own_observer_and_what_is_paid_is_finished(tmp_path: Path) -> None:
    stop = Stop()
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=30, api={"max_in_flight": 2})
        seen = Seen(tmp_path / "runs/job/results.jsonl", lambda _: stop.set())
        summary = run_job(path, options=options(seen, stop=stop))
        assert (summary.exit_code, stop.is_set) == (1, True)
        assert summary.exit_reason == "stopped by the program that runs it; run again to go on"
        assert 0 < summary.items["settled"] < 30
        assert summary.items["open"] == 0
        assert run_job(path, options=options()).items["settled"] == 30
        assert server.stats.executed == {"token": 2, "search": 30, "create": 30}


def test_a_run_in_a_thread_is_ended_from_another_one(tmp_path: Path) -> None:
    stop, begun = Stop(), threading.Event()
    ended: list[int] = []
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=200, api={"qps": 20, "max_in_flight": 2})
        seen = Seen(tmp_path / "runs/job/results.jsonl", lambda _: begun.set())
        with_stop = options(seen, stop=stop)
        run = threading.Thread(target=lambda: ended.append(run_job(path, options=with_stop).exit_code))
        run.start()
        assert begun.wait(60)
        stop.set()
        run.join(120)
        assert ended == [1]
        assert len(list(read_records(tmp_path / "runs/job"))) < 200
        stop.set()  # the run is over: nobody listens


def test_a_run_that_is_ended_at_once_waits_for_no_answer(tmp_path: Path) -> None:
    stop = Stop()

    def sent(kind: Kind, at: float) -> None:
        if kind is Kind.CREATE:
            stop.set(at_once=True)

    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=4, api={"max_in_flight": 1})
        summary = run_job(path, options=options(stop=stop, on_sent=sent))
    assert summary.exit_code == 1
    assert summary.items["settled"] + summary.items["in_doubt"] <= 1
    assert "run.cut_short" in (tmp_path / "runs/job/run.log.jsonl").read_text()


def test_an_end_that_was_asked_for_before_sends_nothing(tmp_path: Path) -> None:
    stop = Stop()
    stop.set()
    with vendor(tmp_path) as server:
        summary = run_job(job(tmp_path, url=server.url, pictures=2), options=options(stop=stop))
        assert (summary.exit_code, summary.items["settled"]) == (1, 0)
        assert server.stats.executed == {}

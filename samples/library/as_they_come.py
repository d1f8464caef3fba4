"""React to each record as it comes, and end the run after the first strong hits: `python as_they_come.py JOB`.

The observer runs in the run's event loop, so it only hands records on; a thread of its own does what takes time.
"""

import queue
import sys
import threading

from pipeline import Progress, RecordView, RunOptions, RunSummary, Stop, run_job

STRONG = 0.9
ENOUGH = 3


class Watch:
    """An observer that hands records on, and counts what is done."""

    def __init__(self) -> None:
        self.records: queue.Queue[RecordView | None] = queue.Queue()
        self.done = 0

    def update(self, progress: Progress) -> None:
        """Take the picture of the run, a few times a second."""
        self.done = sum(number for state, number in progress.items.items() if state.word in ("tasked", "no_hits"))

    def record(self, record: RecordView) -> None:
        """Take a record that is durable now."""
        self.records.put(record)


def alert(watch: Watch, stop: Stop, strong: list[str]) -> None:
    """Name every item with a strong hit, and end the run once there are enough of them."""
    while (record := watch.records.get()) is not None:
        best = max((float(hit.get("score") or 0) for hit in record.hits), default=0.0)
        if best >= STRONG:
            print(f"{record.item}: {best:.3f}", flush=True)
            strong.append(record.item)
        if len(strong) == ENOUGH:
            stop.set()  # what is paid is still finished; `run_job` goes on another day


def watched(job: str) -> tuple[RunSummary, list[str]]:
    """Run a job and return its summary and the items with strong hits."""
    watch, stop, strong = Watch(), Stop(), list[str]()
    reader = threading.Thread(target=alert, args=(watch, stop, strong))
    reader.start()
    try:
        return run_job(job, options=RunOptions(observer=watch, stop=stop)), strong
    finally:
        watch.records.put(None)
        reader.join()


if __name__ == "__main__":
    summary, found = watched(sys.argv[1])
    print(summary.exit_reason, summary.items)

"""Three ways to do the same work: search each picture, open a task with its hits, write one line. Each is one process.

`reference`  a hand-written loop: aiohttp and orjson, 64 workers, no validation, no pacing, no journal, no fsync.
`peer`       the design of the best-known single-file parallel API processor on aiohttp, written out anew: one loop
             that starts a call whenever its capacity bucket allows and sleeps 1 ms, a task per call, stdlib json, and
             a result file opened for each line.
`pipeline`   this project, with validation, pacing, intents, group commit, fsync and records.

Prints one JSON line: seconds until the first call (start-up), seconds of work, CPU seconds of work, peak RSS.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

IN_FLIGHT = 64
KEY = {"Authorization": "Bearer sandbox-key"}
_BEGAN = time.monotonic()


class Clock:
    """Marks the first call and the last record, then says what the work between them took."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._cpu = 0.0
        self._last: tuple[float, float] | None = None

    def first_call(self, *_: object) -> None:
        """Called at every call; counts the first."""
        if self._first is None:
            self._first, self._cpu = time.monotonic(), _cpu_s()

    def last_record(self) -> None:
        """Called once every record is written; what comes after it is counted apart."""
        self._last = time.monotonic(), _cpu_s()

    def report(self) -> dict[str, float]:
        """Seconds of start-up, work, end and CPU of the work, and the peak RSS in MB."""
        assert self._first is not None
        ended = time.monotonic()
        last, cpu = self._last or (ended, _cpu_s())
        return {
            "start_s": self._first - _BEGAN,
            "work_s": last - self._first,
            "end_s": ended - last,
            "cpu_s": cpu - self._cpu,
            "rss_mb": peak_rss_mb(),
        }


def peak_rss_mb() -> float:
    """The most memory this process ever had; Linux lets `ru_maxrss` begin with the parent's."""
    with suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def pictures(count: int) -> Iterator[str]:
    """That many picture URLs."""
    return (f"https://images.example.com/products/{n:07}.jpg" for n in range(count))


def reference(base_url: str, count: int, folder: Path, clock: Clock) -> None:
    """The hand-written loop."""
    import aiohttp
    import orjson

    async def work(session: aiohttp.ClientSession, todo: Iterator[str], out: object) -> None:
        for url in todo:
            clock.first_call()
            async with session.get(f"{base_url}/image-search/search", params={"url": url, "limit": "100"}) as response:
                found = orjson.loads(await response.read())["data"]
            body = {"urls": [url], "patent_messages": found["patent_messages"], "report_lang": "en"}
            async with session.post(
                f"{base_url}/ai/infringement-detection-creation",
                data=orjson.dumps(body),
                headers={"Content-Type": "application/json"},
            ) as response:
                task_id = orjson.loads(await response.read())["data"]["task_id"]
            line = {"item": url, "status": "tasked", "task": {"task_id": task_id}, "hits": found["patent_messages"]}
            out.write(orjson.dumps(line) + b"\n")  # type: ignore[attr-defined]

    async def main() -> None:
        todo = pictures(count)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, headers=KEY) as session:
            with (folder / "reference.jsonl").open("wb") as out:
                await asyncio.gather(*(work(session, todo, out) for _ in range(IN_FLIGHT)))

    asyncio.run(main())


def peer(base_url: str, count: int, folder: Path, clock: Clock) -> None:
    """The best peer's design: one loop over requests, at most one started each millisecond, a line per answer."""
    import aiohttp

    todo = pictures(count)
    follow_up: deque[tuple[str, Any]] = deque()  # its queue of requests that are ready to go (again)
    available, updated = 1e6, time.monotonic()
    running: set[asyncio.Task[None]] = set()

    async def call(session: aiohttp.ClientSession, url: str, hits: Any) -> None:
        if hits is None:
            async with session.get(f"{base_url}/image-search/search", params={"url": url, "limit": "100"}) as response:
                answer = await response.json()
            follow_up.append((url, answer["data"]["patent_messages"]))
            return
        body = {"urls": [url], "patent_messages": hits, "report_lang": "en"}
        async with session.post(f"{base_url}/ai/infringement-detection-creation", json=body) as response:
            answer = await response.json()
        with (folder / "peer.jsonl").open("a") as out:
            out.write(json.dumps([body, answer]) + "\n")

    async def main() -> None:
        nonlocal available, updated
        upcoming: tuple[str, Any] | None = None
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=KEY) as session:
            while True:
                if upcoming is None and follow_up:
                    upcoming = follow_up.popleft()
                elif upcoming is None and (url := next(todo, None)):
                    upcoming = url, None
                now = time.monotonic()
                available, updated = min(1e6, available + (now - updated) * 1e6 / 60), now
                if upcoming is not None and available >= 1 and len(running) < IN_FLIGHT:
                    available -= 1
                    clock.first_call()
                    task = asyncio.create_task(call(session, *upcoming))
                    running.add(task)
                    task.add_done_callback(running.discard)
                    upcoming = None
                if not running and not follow_up and upcoming is None:
                    return
                await asyncio.sleep(0.001)

    asyncio.run(main())


def pipeline(base_url: str, count: int, folder: Path, clock: Clock) -> None:
    """This project."""
    from pipeline import RunOptions, run_job
    from pipeline.models import State
    from pipeline.run.progress import Progress
    from tests.support.accounts import known_account

    class AllEnded:
        """Looks at a run as the live table does, for the moment when all items have ended."""

        def update(self, progress: Progress) -> None:
            if progress.items[State.TASKED] == count:
                clock.last_record()

    (folder / "list.csv").write_text("url\n" + "\n".join(pictures(count)) + "\n")
    api = {"base_url": base_url, "qps": 1_000_000, "max_in_flight": IN_FLIGHT}
    job = {
        "version": 1,
        "name": "bench",
        "images": [{"manifest": "list.csv"}],
        "api": api,
        "report": {"pictures": {"keep": 0}},  # the paid calls alone are measured
    }
    (folder / "job.yaml").write_text(json.dumps(job))
    key = {"PATSNAP_API_KEY": "sandbox-key"}
    known_account(base_url, key)
    options = RunOptions(on_sent=clock.first_call, environment=key, observer=AllEnded())
    summary = run_job(folder / "job.yaml", options=options)
    assert summary.items["tasked"] == count, summary


CONTENDERS: dict[str, Callable[[str, int, Path, Clock], None]] = {
    "reference": reference,
    "peer": peer,
    "pipeline": pipeline,
}

if __name__ == "__main__":
    name, address, number, where = sys.argv[1:5]
    marks = Clock()
    CONTENDERS[name](address, int(number), Path(where), marks)
    print(json.dumps(marks.report()))
    sys.stdout.flush()
    os._exit(0)  # what an interpreter does at its end is no part of the work

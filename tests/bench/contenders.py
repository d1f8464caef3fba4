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
from collections.abc import Callable, Iterator
from pathlib import Path

IN_FLIGHT = 64
KEY = {"Authorization": "Bearer sandbox-key"}
_BEGAN = time.monotonic()


class Clock:
    """Marks the first call, then says what the work took."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._cpu = 0.0

    def first_call(self, *_: object) -> None:
        """Called at every call; counts the first."""
        if self._first is None:
            self._first, self._cpu = time.monotonic(), _cpu_s()

    def report(self) -> dict[str, float]:
        """Seconds of start-up, work and CPU, and the peak RSS in MB."""
        assert self._first is not None
        return {
            "start_s": self._first - _BEGAN,
            "work_s": time.monotonic() - self._first,
            "cpu_s": _cpu_s() - self._cpu,
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


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
    """The best peer's design."""
    import aiohttp

    save = folder / "peer.jsonl"

    async def call(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{base_url}/image-search/search", params={"url": url, "limit": "100"}) as response:
            found = (await response.json())["data"]
        body = {"urls": [url], "patent_messages": found["patent_messages"], "report_lang": "en"}
        async with session.post(f"{base_url}/ai/infringement-detection-creation", json=body) as response:
            answer = await response.json()
        with save.open("a") as out:
            out.write(json.dumps({"item": url, "task": answer["data"], "hits": found["patent_messages"]}) + "\n")

    async def main() -> None:
        per_s, available, updated = 1e6, 1e6, time.monotonic()
        todo, running = pictures(count), set[asyncio.Task[None]]()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=KEY) as session:
            upcoming: str | None = next(todo, None)
            while upcoming is not None or running:
                now = time.monotonic()
                available, updated = min(per_s, available + (now - updated) * per_s / 60), now
                if upcoming is not None and available >= 1 and len(running) < IN_FLIGHT:
                    available -= 1
                    clock.first_call()
                    task = asyncio.create_task(call(session, upcoming))
                    running.add(task)
                    task.add_done_callback(running.discard)
                    upcoming = next(todo, None)
                await asyncio.sleep(0.001)

    asyncio.run(main())


def pipeline(base_url: str, count: int, folder: Path, clock: Clock) -> None:
    """This project."""
    from pipeline import RunOptions, run_job

    (folder / "list.csv").write_text("url\n" + "\n".join(pictures(count)) + "\n")
    api = {"base_url": base_url, "qps": 1_000_000, "max_in_flight": IN_FLIGHT}
    job = {"version": 1, "name": "bench", "images": [{"manifest": "list.csv"}], "api": api}
    (folder / "job.yaml").write_text(json.dumps(job))
    options = RunOptions(on_sent=clock.first_call, environment={"PATSNAP_API_KEY": "sandbox-key"})
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

"""Run a job beside other work and cancel it: from a thread, and from a task of an event loop of your own."""

import asyncio
import sys
import threading

from pipeline import RunOptions, RunSummary, Stop, run_job


def with_deadline(job: str, seconds: float) -> RunSummary:
    """Run for so long at most; whatever is left is done by the next call."""
    stop = Stop()
    timer = threading.Timer(seconds, stop.set)
    timer.start()
    try:
        return run_job(job, options=RunOptions(stop=stop))
    finally:
        timer.cancel()


async def beside(job: str, enough: asyncio.Event) -> RunSummary:
    """Run in a thread of its own, until a task of this event loop has enough."""
    stop = Stop()
    run = asyncio.create_task(asyncio.to_thread(run_job, job, options=RunOptions(stop=stop)))
    over = asyncio.create_task(enough.wait())
    await asyncio.wait((run, over), return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    await asyncio.to_thread(stop.set)
    return await run


if __name__ == "__main__":
    summary = with_deadline(sys.argv[1], float(sys.argv[2]))
    print(summary.exit_reason, summary.items)

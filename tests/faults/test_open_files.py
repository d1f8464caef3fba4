"""Runs on systems that allow few open files: that is no fault of the vendor's, and nothing is paid in vain."""

import json
import subprocess
import sys
from pathlib import Path

from pipeline.system.open_files import OTHERS, PER_ITEM
from tests.support.jobs import ACCOUNT, job, vendor
from tests.support.processes import completed, python

ROOM = """
import resource, sys
soft, hard, items = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from pipeline.system.open_files import make_room
print(make_room(items), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
RUN = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
from pipeline import RunOptions, run_job
said = []
summary = run_job(sys.argv[1], options=RunOptions(environment=json.loads(sys.argv[3]), say=said.append))
print(json.dumps({"exit_code": summary.exit_code, "tasked": summary.items["tasked"], "said": said}))
"""
NO_MORE = """
import json, os, resource, sys
import anyio
from pipeline.errors import CallError
from tests.support.clients import FakeMeter, client_at, search
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

async def main():
    meter = FakeMeter()
    async with client_at(sys.argv[1]) as client:
        taken = []
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            pass
        try:
            await search(client, meter)
        except CallError as error:
            found = [type(error).__name__, error.exit_code, str(error), meter.total, meter.taken_back]
        finally:
            for number in taken:
                os.close(number)
    print(json.dumps(found))

anyio.run(main)
"""


def room(soft: int, hard: int, items: int) -> tuple[int, int]:
    done = completed(python(ROOM, str(soft), str(hard), str(items)))
    most, limit = map(int, done.stdout.split())
    return most, limit


def test_the_soft_limit_of_open_files_is_raised_to_what_the_items_in_flight_need() -> None:
    most, limit = room(100, 4096, 1000)
    assert most == 1000
    assert PER_ITEM * 1000 + OTHERS <= limit < 4096


def test_where_the_system_allows_no_more_files_fewer_items_are_in_flight() -> None:
    most, limit = room(100, 400, 1000)
    assert limit == 400
    assert 100 <= most <= (400 - OTHERS) // PER_ITEM


def test_a_run_with_few_open_files_finishes_every_item_with_fewer_at_once(tmp_path: Path) -> None:
    with vendor(tmp_path, latency_s=0.2) as server:
        path = job(tmp_path, url=server.url, pictures=150, api={"max_in_flight": 500})
        done = completed(python(RUN, path, "160", json.dumps(ACCOUNT)))
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout)
    assert (ended["exit_code"], ended["tasked"]) == (0, 150)
    assert "of 500 items at once" in ended["said"][0]


def test_files_that_run_out_are_named_as_what_they_are_and_nothing_is_sent() -> None:
    done: subprocess.CompletedProcess[str] = completed([sys.executable, "-c", NO_MORE, "http://127.0.0.1:9"])
    assert done.returncode == 0, done.stderr
    kind, exit_code, said, sent, taken_back = json.loads(done.stdout)
    assert (kind, exit_code, sent, taken_back) == ("SystemLimit", 5, 0, [False])
    assert "too many open files" in said
    assert "ulimit -n" in said

"""Structs are read in several threads at once, also for the first time."""

from tests.support.processes import completed, python

# The fields of `Inner` are found out about while those of `Outer` are: one thread stands still there, another reads.
FIRST_USE = """
import threading
import msgspec
from pipeline.system.structs import decode

begun, go_on, read = threading.Event(), threading.Event(), []

def held():
    begun.set()
    go_on.wait()
    return int

class Inner(msgspec.Struct):
    value: "held()"

class Outer(msgspec.Struct):
    inner: Inner

def use():
    read.append(decode(b'{"inner": {"value": 1}}', Outer).inner.value)

first, second = threading.Thread(target=use), threading.Thread(target=use)
first.start()
begun.wait()
second.start()
second.join(0.05)
go_on.set()
first.join()
second.join()
assert read == [1, 1], read
"""


def test_threads_that_read_a_type_for_the_first_time_at_once_read_it_all() -> None:
    done = completed(python(FIRST_USE))
    assert done.returncode == 0, (done.returncode, done.stderr)

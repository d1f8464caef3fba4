"""`make instructions`: what a picture costs in instructions, which do not drift with the machine as seconds do.

Each contender runs under valgrind with few pictures and with more; the difference is the work alone, without start-up.
The loop's thread limits the throughput. The page at the end is written by a thread of its own, which is left out.
valgrind has no AVX-512, so a library that uses it (orjson) costs more here than on a processor that has it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.bench.compare import vendor

FEW, MORE = 200, 500  # pictures
THREADS = {"the loop": 1, "the journal": 2}  # in the order in which a run starts them
_TOTALS = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def counted(name: str, address: str, pictures: int) -> dict[int, int]:
    """Run a contender under valgrind; return the instructions of each of its threads, by number from 1."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind")
        command = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}"]
        command += [sys.executable, "-m", "tests.bench.contenders", name, address, str(pictures), folder]
        same_order = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=same_order)
        if done.returncode:
            raise SystemExit(f"{name} failed under valgrind:\n{done.stderr[-2000:]}")
        return {int(one.name.rpartition("-")[2]): total(one) for one in out.parent.glob("callgrind-*")}


def total(profile: Path) -> int:
    """Read the instructions of one thread from its profile."""
    found = _TOTALS.search(profile.read_text(errors="replace"))
    return 0 if found is None else int(found[1])


def per_picture(few: Mapping[int, int], more: Mapping[int, int]) -> dict[str, float]:
    """Return the millions of instructions that one more picture costs each thread."""
    return {
        thread: (more.get(number, 0) - few.get(number, 0)) / (MORE - FEW) / 1e6 for thread, number in THREADS.items()
    }


def main() -> None:
    """Count and print."""
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not installed; on Debian: apt install valgrind")
    costs = {}
    with vendor() as (address, _):
        for name in ("reference", "pipeline"):
            costs[name] = per_picture(counted(name, address, FEW), counted(name, address, MORE))
    print(f"millions of instructions a picture, answers of 73 KB; {MORE} pictures less {FEW}")
    for name, cost in costs.items():
        print(f"{name:10}" + "".join(f"  {thread} {millions:.2f}" for thread, millions in cost.items() if millions))
    ratio = costs["reference"]["the loop"] / costs["pipeline"]["the loop"]
    print(f"reference / pipeline, the loop's thread: {ratio:.2f}")


if __name__ == "__main__":
    main()

"""A process of its own that shrinks pictures: foreign bytes are decoded where no secret and no journal is.

It reads from stdin, for each picture, its length (4 bytes, big-endian) and its bytes, and answers on stdout with the
number of copies (1 byte; 0 = it cannot be decoded), then each copy the same way. It ends with its stdin, so also when
the run is killed. `python -m pipeline.results.pictures.worker 480 160`
"""

import contextlib
import os
import struct
import sys
from typing import BinaryIO

from pipeline.results.pictures.shrink import shrunk

LENGTH = struct.Struct(">I")
_MEMORY = 2 << 30  # bytes of addresses: a picture that needs more is none that people look at


def serve(source: BinaryIO, answers: BinaryIO, sides: tuple[int, ...]) -> None:
    """Shrink pictures until the stream ends."""
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        copies = shrunk(source.read(*LENGTH.unpack(head)), sides) or []
        answers.write(bytes([len(copies)]))
        for copy in copies:
            answers.write(LENGTH.pack(len(copy)))
            answers.write(copy)
        answers.flush()


def main() -> None:
    """Serve with the least of rights and of priority: the paid calls go first."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    with contextlib.suppress(OSError):
        os.nice(19)
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer, tuple(map(int, sys.argv[1:])))
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # the run is gone: Python would complain on its terminal that the rest of an answer has no reader


if __name__ == "__main__":
    main()

"""Lines that this machine kept in its state folder while the shared folder was out of reach (journal/kept_files.py).

Once the folder is back they are put into the epochs that they belong to, where whoever has the shard by then finds them
(`late_lines.py`).
"""

from contextlib import suppress
from pathlib import Path

from pipeline.journal.kept_files import digest_of, kept_here
from pipeline.journal.places import SHARDS
from pipeline.system.files import write_whole


def hand_over(run: Path) -> int:
    """Move the lines kept here into the epochs of a run; return the number of files. What fails stays here."""
    moved = 0
    if not (kept := kept_here()):
        return moved
    with suppress(OSError):
        for epoch in (run / SHARDS).glob("*/e*"):
            for file in kept.get(digest_of(epoch), ()):
                write_whole(epoch / file.name, file.read_bytes())
                file.unlink()
                moved += 1
    return moved

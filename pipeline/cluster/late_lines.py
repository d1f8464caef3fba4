"""Lines that an owner before wrote after its shard was taken over: answers that were on their way when it was cut off.

They are handed in as the product takes in all that was kept elsewhere (journal/emergency.py): the next start of the run
reads them, ends the doubts that they settle, and leaves alone what it knows already. What that owner could not even
write there it kept in files of an emergency; they are handed in under their own names, which no two files share. Those
that lie in its machine's state folder, because the shared folder was out of reach, it first moves into their epochs.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.cluster.epochs import Earlier, folder_of, read_note
from pipeline.journal.kept_files import digest_of, in_and_beside, kept_here
from pipeline.journal.kept_lines import parts_of
from pipeline.journal.places import REPORTS, RESULTS, SHARDS
from pipeline.journal.results_file import read_line
from pipeline.system.files import write_whole

_TAKEN = "late.json"  # up to which byte of each earlier epoch's lines they are handed in


class _Late(NamedTuple):
    epoch: int
    lines: list[bytes]
    end: int  # of the last whole line


def hand_in(folder: Path) -> int:
    """Hand in what is late of all earlier epochs of a run directory that nobody has open; return 0 for nothing."""
    taken = _taken(folder)
    found = list(_late(folder, taken))
    for epoch, lines, end in found:
        name = f"emergency-late-e{epoch}-{end}.jsonl"
        write_whole(folder / name, (part for line in lines for part in parts_of(line)))
    if found:
        now = taken | {late.epoch: late.end for late in found}
        write_whole(folder / _TAKEN, msgspec.json.encode({str(epoch): end for epoch, end in now.items()}))
    kept = list(_kept_late(folder))
    for file in kept:
        write_whole(folder / file.name, file.read_bytes())
    return sum(len(late.lines) for late in found) + len(kept)


def bring_back(folder: Path) -> int:
    """Append the lines that a run directory had of earlier epochs and has lost; return their number.

    Only for one whose files are damaged: where they are whole, none is missing.
    """
    lost = 0
    for name in (RESULTS, REPORTS):
        file = folder / name
        known = {view.item for line in _lines_of(file) if (view := read_line(line)) is not None}
        found = []
        for epoch in _earlier(folder):
            most = epoch.read if name == RESULTS else None
            for line in _lines_of(folder_of(folder.parent, epoch.epoch) / name, most):
                if (view := read_line(line)) is not None and view.item not in known:
                    known.add(view.item)
                    found.append(line)
        if found:
            write_whole(file, (*_ended(_lines_of(file)), *found))
            lost += len(found)
    return lost


def _lines_of(file: Path, most: int | None = None) -> Iterator[bytes]:
    """Yield the lines of a file, or of so many bytes of it; none where it is not there."""
    left = most
    with suppress(FileNotFoundError), file.open("rb") as lines:
        for line in lines:
            if left is not None and (left := left - len(line)) < 0:
                return
            yield line


def _ended(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines, of which the last may lack its end."""
    for line in lines:
        yield line if line.endswith(b"\n") else line + b"\n"


def hand_over(run: Path) -> None:
    """Move the lines that this machine kept into the epochs of a run that they belong to; what fails stays here."""
    if not (kept := kept_here()):
        return
    with suppress(OSError):
        for epoch in (run / SHARDS).glob("*/e*"):
            for file in kept.get(digest_of(epoch), ()):
                write_whole(epoch / file.name, file.read_bytes())
                file.unlink()


def there_are(folder: Path) -> bool:
    """Return whether an earlier epoch has lines that were not handed in."""
    return any(_late(folder, _taken(folder))) or any(_kept_late(folder))


def late_tasks(folder: Path) -> set[str] | None:
    """Return the ids of the tasks in late lines that were not handed in; None where files of an emergency were not."""
    if any(_kept_late(folder)):
        return None
    lines = (read_line(line) for late in _late(folder, _taken(folder)) for line in late.lines)
    return {view.task_part.task_id for view in lines if view is not None and view.task_part is not None}


def _kept_late(folder: Path) -> Iterator[Path]:
    """Find the files of an emergency of earlier epochs that the folder does not have, by their names."""
    for epoch in _earlier(folder):
        for file in in_and_beside(folder_of(folder.parent, epoch.epoch)):
            if not any((folder / name).exists() for name in (file.name, f"{file.name}.adopted")):
                yield file


def _taken(folder: Path) -> dict[int, int]:
    try:
        return {int(epoch): end for epoch, end in msgspec.json.decode((folder / _TAKEN).read_bytes()).items()}
    except (OSError, msgspec.MsgspecError, ValueError, AttributeError):
        return {}


def _earlier(folder: Path) -> list[Earlier]:
    note = read_note(folder)
    return [] if note is None else note.earlier


def _late(folder: Path, taken: dict[int, int]) -> Iterator[_Late]:
    for earlier in _earlier(folder):
        begin = max(earlier.read, taken.get(earlier.epoch, 0))
        lines, end = _whole_lines(folder_of(folder.parent, earlier.epoch) / RESULTS, begin)
        if lines:
            yield _Late(earlier.epoch, lines, end)


def _whole_lines(file: Path, begin: int) -> tuple[list[bytes], int]:
    """Read the records behind a byte where a line begins, up to the first that is not whole; return where they end."""
    lines: list[bytes] = []
    end = begin
    try:
        with file.open("rb") as results:
            results.seek(begin)
            for line in results:
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                if read_line(line) is not None:
                    lines.append(line)
    except FileNotFoundError:
        return [], begin
    return lines, end

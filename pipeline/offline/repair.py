"""The repair of a damaged run directory; the damaged files are kept beside the new ones. Sends nothing.

Every step can be repeated: whatever ends a repair in the middle leaves a directory that refuses to run (`.repairing`)
and asks for another repair.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from pipeline.errors import JournalError, OtherVersion
from pipeline.journal.begun import REPAIRING
from pipeline.journal.evidence import refuse_unexplained
from pipeline.journal.identity import is_stale, of_journal, refuse_other
from pipeline.journal.kept_files import left_over
from pipeline.journal.kept_lines import kept_lines
from pipeline.journal.places import JOURNAL, results_file
from pipeline.journal.storage import reading_only
from pipeline.journal.tail_check import CHECK, read_check
from pipeline.journal.verify import verify
from pipeline.offline.rebuild import Rebuild
from pipeline.offline.salvage import Salvage
from pipeline.offline.whole_lines import Damage, is_ours, keep_aside, lines_at, take_lines
from pipeline.system.checksum import crc32
from pipeline.system.files import sync_names, write_whole
from pipeline.system.wording import count


def is_whole(folder: Path, *, own: bool = True) -> bool:
    """Return True if nothing needs a repair: the journal is sound, and every line is what was written.

    Like the two below, for a run directory that we have locked: a change that a death cut short is taken back by SQLite
    first, where it keeps no write-ahead log. Without `own` nothing is changed, and such a change counts as damage.
    Raises OtherVersion: a journal of another program is not damaged, and no repair must touch it.
    """
    if (folder / REPAIRING).exists() or not (folder / JOURNAL).is_file():
        return False
    try:
        with reading_only(folder, own=own) as db:
            refuse_unexplained(db, folder, results_file(folder))
            return verify(db, results_file(folder)).ok
    except OtherVersion:
        raise
    except JournalError:
        return False


def refuse_other_copy(folder: Path, *, places: Path | None) -> None:
    """Raise JournalError where only a person can say that this directory is the one to go on with.

    A journal that is damaged or gone is no such case: a repair puts in doubt whatever it may have forgotten.
    """
    if not (folder / JOURNAL).is_file():
        return
    try:
        with reading_only(folder, own=True) as db:
            known = of_journal(db)
    except JournalError:
        return
    refuse_other(folder, known, places=places)


def is_newest(folder: Path, *, places: Path | None, own: bool = True) -> bool:
    """Return False for a journal that is behind what lies beside it, or does not know it."""
    if not (folder / JOURNAL).is_file():
        return True
    try:
        with reading_only(folder, own=own) as db:
            refuse_unexplained(db, folder, results_file(folder))
            return not is_stale(folder, of_journal(db), places=places)
    except OtherVersion:
        raise
    except JournalError:
        return False


def take_kept(folder: Path) -> list[str]:
    """Append to results.jsonl what a run kept when something was taken away; say in lines what was done.

    Only where the journal is gone: any other takes these lines in at the next start, and knows whose they are.
    """
    results, kept = results_file(folder), left_over(folder)
    if (folder / JOURNAL).is_file() or not kept:
        return []
    write_whole(results, _once(kept_lines([results, *kept] if results.is_file() else kept)))
    return [f"{results.name}: what was kept in {', '.join(path.name for path in kept)} is in it now"]


def _once(lines: Iterable[bytes]) -> Iterator[bytes]:
    seen: set[tuple[int, int]] = set()
    for line in lines:
        known = len(line), crc32(line)
        if known not in seen:
            seen.add(known)
            yield line


def repair(folder: Path, *, job: str, newest: bool = True) -> list[str]:
    """Rebuild the journal of a run directory that we have locked; return what was done, a line each.

    A journal that is not the `newest` may have forgotten creates: it is not believed.
    """
    number = _next_number(folder)
    resumed = (folder / REPAIRING).exists()
    newest = newest and not (resumed and (folder / REPAIRING).read_bytes())
    (folder / REPAIRING).touch(mode=0o600)
    (folder / REPAIRING).write_bytes(b"" if newest else b"not the newest journal\n")
    sync_names(folder)
    aside = _set_aside(folder, number)
    results_file(folder).touch(mode=0o600)
    new = folder / f".{JOURNAL}.new"
    for leftover in (new, Path(f"{new}-journal")):
        leftover.unlink(missing_ok=True)
    # A journal that an earlier repair set aside is out of date, unless that repair was cut short and goes on now.
    believed = resumed or (aside is not None and aside.name.endswith(f"-{number}"))
    old = Salvage(aside, believed=believed and newest) if aside is not None else None
    try:
        with closing(Rebuild(new, old, results=results_file(folder).name)) as rebuild:
            damage = take_lines(results_file(folder), is_ours(old, job, read_check(folder / CHECK)), rebuild.add_line)
            rebuild.finish()
            places = rebuild.places()
    finally:
        if old is not None:
            old.close()
            Path(f"{aside}-shm").unlink(missing_ok=True)
    done = list(_replace_results(folder, places, damage, number))
    new.replace(folder / JOURNAL)
    sync_names(folder)
    (folder / REPAIRING).unlink()
    return [*done, *_rebuilt(rebuild, old, aside, results_file(folder).name)]


def _next_number(folder: Path) -> int:
    return 1 + max(
        (number for name in (JOURNAL, results_file(folder).name) for number, _ in _damaged(folder, name)), default=0
    )


def _damaged(folder: Path, name: str) -> Iterator[tuple[int, Path]]:
    for path in folder.glob(f"{name}.damaged-*"):
        if found := re.fullmatch(r".*\.damaged-(\d+)", path.name):
            yield int(found[1]), path


def _set_aside(folder: Path, number: int) -> Path | None:
    """Rename the old journal and return its new name; after a repair that was cut short, the name that it had given.

    None when there is no journal. SQLite's log goes with its journal, after it: a log alone says nothing.
    """
    journal, log = folder / JOURNAL, folder / f"{JOURNAL}-wal"
    if journal.is_file():
        aside = folder / f"{JOURNAL}.damaged-{number}"
        journal.replace(aside)
    else:
        aside = max(_damaged(folder, JOURNAL), default=(0, journal))[1]
        if aside == journal:  # a log that was left without its journal would be read as that of the new one
            if log.is_file():
                log.replace(folder / f"{JOURNAL}.damaged-{number}-wal")
            return None
    if log.is_file():
        log.replace(f"{aside}-wal")
    (folder / f"{JOURNAL}-shm").unlink(missing_ok=True)
    sync_names(folder)
    return aside


def _replace_results(folder: Path, kept: Sequence[tuple[int, int]], damage: Damage, number: int) -> Iterator[str]:
    """Replace a damaged results.jsonl by its valid lines alone; yield what was done."""
    results = results_file(folder)
    if not damage.bytes:
        whole = "and it is whole" if len(kept) == 1 else "all of them whole"
        yield f"{results.name}: {count(len(kept), 'line')}, {whole}; left as it is"
        return
    aside = folder / f"{results.name}.damaged-{number}"
    keep_aside(results, aside)
    write_whole(results, lines_at(results, kept))
    yield (
        f"{results.name}: {count(len(kept), 'whole line')} kept, {count(damage.bytes, 'byte')} in "
        f"{count(damage.places, 'place')} left out; the old file is {aside.name}"
    )


def _counted(word: str, number: int) -> str:
    return count(number, "line lost", "lines lost") if word == "lines lost" else f"{number:,} {word}"


def _rebuilt(rebuild: Rebuild, old: Salvage | None, aside: Path | None, results: str) -> Iterator[str]:
    if aside is None:
        yield f"{JOURNAL}: written anew from {results}; there was none"
    else:
        yield f"{JOURNAL}: written anew; the old one is {aside.name}"
    yield "items: " + ", ".join(_counted(word, number) for word, number in rebuild.counts.items() if number)
    if old is None or not old.sound:
        missing = (
            f" ({count(old.unreadable, 'row')} or more could not be read)" if old is not None and old.unreadable else ""
        )
        yield (
            f"the old journal cannot be trusted{missing}: every item without a line is in doubt, also those that the "
            "next run lists and this journal does not know"
        )

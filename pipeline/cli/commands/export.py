"""The command `pipeline export`."""

import difflib
import sys
from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.screen import show_lines
from pipeline.errors import SpecError
from pipeline.models import OPEN, SETTLED
from pipeline.offline.export import STDOUT, Asked, Made, make_export
from pipeline.offline.merging import merge
from pipeline.offline.packed import at_hand, is_packed
from pipeline.results.exports.export import CELL, FLOAT, HIT, NO_PICTURES, PRODUCT
from pipeline.results.exports.formats import FORMATS
from pipeline.run.load import load_spec
from pipeline.system.fault import Fault
from pipeline.system.wording import count

PER, PICTURES = (PRODUCT, HIT), (CELL, FLOAT, NO_PICTURES)
STATUSES = tuple(state.word for state in (*SETTLED, *OPEN))


def export_command(path: Path, asked: Asked) -> int:
    """Write an export of a run; print what is in it, as of when, and where it is."""
    if not asked.to:
        raise SpecError(Fault("name a format, or a file for the records as they are", where="--to", fix="--to xlsx"))
    _require("--to", asked.to, tuple(FORMATS))
    _require("--pictures", asked.pictures, PICTURES)
    if asked.per is not None:
        _require("--per", asked.per, PER)
    for status in asked.wanted.statuses:
        _require("--status", status, STATUSES, repeated=True)
    if path.is_file() and not is_packed(path):
        asked = asked._replace(report=load_spec(path).report)
    with at_hand(path) as folder:
        packed = is_packed(path)
        name = path.stem if packed else folder.resolve().name
        made = make_export(folder, asked, name=name, named=path if packed else None)
    if made.file == STDOUT:
        for remark in made.remarks:
            say(remark)
        return 0
    _show(made)
    return 0


def merge_command(path: Path, file: Path, *, to: str | None, force: bool) -> int:
    """Write the records of a run, those of all its shards, to one file; print what is in it."""
    if to is not None:
        what = "the records are written as they are, and a format is made of them: ask for one of the two"
        raise SpecError(Fault(what, where=f"--merge {file} --to {to}"))
    with at_hand(path) as folder:
        made = merge(folder, file, force=force)
    show_lines([f"{count(made.lines, 'line')}, {made.size:,} bytes as they were written", f"look at: {made.file}"])
    sys.stdout.flush()
    for remark in made.remarks:
        say(remark)
    return 0


def _show(made: Made) -> None:
    rows = [count(made.written.products, "product")] if made.written.products else []
    rows += [count(made.written.hits, "hit")] if made.written.hits else []
    show_lines([f"as of {made.as_of}: {made.state}; {' and '.join(rows) or 'no rows'}", f"look at: {made.file}"])
    sys.stdout.flush()
    for remark in made.remarks:
        say(remark)


def _require(option: str, word: str, allowed: tuple[str, ...], *, repeated: bool = False) -> None:
    """Raise SpecError for a word that is not allowed; of an option that may be `repeated` one more mends nothing."""
    if word not in allowed:
        near = difflib.get_close_matches(word.lower(), allowed, n=1)
        meant = f"; did you mean {near[0]!r}?" if near and repeated else ""
        what = f"{word!r} is not allowed; allowed: {', '.join(allowed)}{meant}"
        fix = f"{option} {near[0]}" if near and not repeated else ""
        raise SpecError(Fault(what, where=f"{option} {word}", fix=fix))

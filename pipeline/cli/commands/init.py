"""The command `pipeline init`."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from pipeline.cli.asking import on_a_terminal
from pipeline.cli.errors import say
from pipeline.cli.looking import counting_pictures
from pipeline.cli.screen import show_lines, show_rows
from pipeline.errors import SpecError
from pipeline.job.images import Encoding
from pipeline.models import Item
from pipeline.offline.starting.begin import Begun, begin_job, is_ignored, write_files
from pipeline.offline.starting.draft import Draft, Options
from pipeline.offline.starting.facts import Facts
from pipeline.sandbox.resources import resource
from pipeline.system.fault import Fault
from pipeline.system.language import translated
from pipeline.system.wording import count, listed
from pipeline.views import views_of

_TRIES = 3
_WIDE = 60  # characters of a sample's cell


def init_command(path: Path | None, job: Path, wishes: Options, *, asking: bool) -> int:
    """Begin a job, and print what was understood of its pictures, what looks wrong, and what to type next."""
    if wishes.encoding and wishes.encoding not in get_args(Encoding):
        raise SpecError(Fault(f"{wishes.encoding!r}: allowed: {', '.join(get_args(Encoding))}", where="--encoding"))
    if asking and on_a_terminal() and sys.stdin.isatty():
        wishes = replace(wishes, choose=_ask)
    with counting_pictures() as watch:
        begun = begin_job(path, job, wishes, samples=str(resource("products").parent), watch=watch)
    written, kept = write_files(begun)
    _show(begun)
    show_lines(
        [f"written: {', '.join(written)}", *([f"was there, and stays as it is: {', '.join(kept)}"] if kept else [])]
    )
    if not is_ignored(job.parent):
        show_lines(["note: .gitignore does not name .env, which will hold your credentials; add a line .env to it"])
    show_lines(["next:"])
    width = max(len(command) for command, _ in begun.commands)
    show_lines(f"  {command:<{width}}  # {translated(what)}" for command, what in begun.commands)
    return 0


def _ask(question: str, answers: Sequence[str]) -> int:
    """Ask a person which of several answers is right; the first one where none is given."""
    say(question)
    for number, answer in enumerate(answers, 1):
        say(f"  {number}  {answer}")
    for _ in range(_TRIES):
        print(translated(f"1 to {len(answers)} [1]: "), end="", file=sys.stderr, flush=True)
        said = sys.stdin.readline().strip() or "1"
        if said.isdecimal() and 1 <= int(said) <= len(answers):
            return int(said) - 1
    raise SpecError(Fault("no answer; without a question the first column is taken", fix="--yes"))


def _show(begun: Begun) -> None:
    show_rows(_understood(begun))
    if begun.look.first:
        number = len(begun.look.first)
        show_lines([f"the first {number} as the job reads them:" if number > 1 else "as the job reads it:"])
        show_lines(f"  {_sample(item)}" for item in begun.look.first)
    show_lines(f"warning: {text}" for text in (*begun.look.faults, *begun.doubts))


def _understood(begun: Begun) -> list[tuple[str, str]]:
    draft, table = begun.draft, begun.draft.table
    if draft.example:
        return [
            ("nothing is here yet", f"{draft.example} is a list to begin with: put your own rows in place of its three")
        ]
    if table is None:
        said = ", ".join(f"{path!r}" for path in (entry["path"] for entry in draft.entries))
        fitted = (
            [("fit", "some are no JPG or PNG, or too large: `fit: true` makes them so for the upload")]
            if draft.fit
            else []
        )
        return [("pictures", f"{begun.look.items:,} in {said if draft.root == '.' else draft.root}"), *fitted]
    sketch = table.sketch
    how = [f"sheet {sketch.sheet!r}"] if sketch.sheet else []
    how += [f"{sketch.guess.encoding}, separated by {_separator(sketch.separator)}"] if sketch.separator else []
    how += [f"header in row {table.header}"] if table.header else []
    how.append(count(begun.look.items, "row"))
    return [("list", f"{draft.entries[0]['manifest']}: {', '.join(how)}"), *_columns(draft)]


def _separator(separator: str) -> str:
    return {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}.get(separator, repr(separator))


def _columns(draft: Draft) -> list[tuple[str, str]]:
    roles = draft.roles
    assert roles is not None
    rows = [
        (
            "id",
            "none: ids are made from the pictures; --id-column names a column"
            if roles.id is None
            else _named(roles.id),
        )
    ]
    kinds = " and ".join(dict.fromkeys({"url": "URLs", "path": "files"}[facts.kind] for facts in roles.pictures))
    where = f" below {draft.root}" if draft.local and draft.root != "." else ""
    if roles.have_views:
        names = listed([repr(facts.name) for facts in roles.pictures])
        rows.append(("views", f"{names}: {kinds}{where}, searched together as one product (P061)"))
    else:
        rows.append(("picture", f"{roles.pictures[0].name!r}: {kinds}{where}"))
    if roles.labels:
        rows.append(("labels", ", ".join(f"{facts.name!r} ({facts.distinct:,})" for facts in roles.labels)))
    if others := [*roles.beside, *roles.left_out]:
        rows.append(("left out", listed([repr(facts.name) for facts in others], 10)))
    return rows


def _named(facts: Facts) -> str:
    return f"{facts.name!r}: {count(facts.distinct, 'different value')}"


def _sample(item: Item) -> str:
    if item.problem is not None:
        return f"{item.origin}: {item.problem.message.removeprefix(f'{item.origin}: ')}"
    pictures = " + ".join(_short(view) for view in views_of(item.source))
    return "  ".join([item.id, pictures, *(f"{name}={_short(text)}" for name, text in item.labels.items())])


def _short(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 3]}..."

"""The command `pipeline status`."""

import sys
import time
from pathlib import Path

from pipeline.cli.screen import about_unread, show_changed, show_json, show_lines, show_rows
from pipeline.cluster.directories import Directories, directories
from pipeline.journal.places import OPEN_FILE, goes_on_with
from pipeline.offline.packed import at_hand, is_packed
from pipeline.offline.shards.status import about_account, read_cluster_status, verify_cluster, worded
from pipeline.offline.status import Status, read_status, verify_run
from pipeline.system.wording import count


def status_command(path: Path, *, verifying: bool, as_json: bool) -> int:
    """Print where a run stands; also check every line when `verifying`. Raises JournalError on damage."""
    with at_hand(path) as folder:
        found, named = directories(folder), path if is_packed(path) else folder
        if found.cluster is not None:
            return _cluster(found, named, verifying=verifying, as_json=as_json)
        status = read_status(folder, named=named)
        if as_json:
            show_json(status)
        else:
            _show_running(folder, running=status.running)
            _show_status(status, goes_on_with(folder))
        if verifying:
            text = verify_run(folder)
            if not as_json:
                show_lines([text])
    return 0


def _cluster(found: Directories, named: Path, *, verifying: bool, as_json: bool) -> int:
    status = read_cluster_status(found, named=named)
    if as_json:
        show_json(status)
    else:
        _show_status(status, goes_on_with(found.folder))
        show_lines(status.about_shards)
        show_lines(about_account(name, number) for name, number in status.accounts.items())
        show_lines(worded(machine) for machine in status.machines)
    if verifying:
        text = verify_cluster(found)
        if not as_json:
            show_lines([text])
    return 0


def _show_running(folder: Path, *, running: bool) -> None:
    """Print the block that the run itself draws on a terminal."""
    # Imported here, for only a run under way needs them: they load the HTTP client, a quarter of a status's start-up.
    from pipeline.cli.live import block
    from pipeline.run.progress_file import noted

    progress = noted(folder, now=time.time()) if running else None
    if progress is not None:
        show_lines([*block(progress, now=time.time(), letters=sys.stdout.encoding), ""])


def _show_status(status: Status, goes_on: str) -> None:
    """Print a status; `goes_on` is the command that goes on with the run."""
    always = ("all", "settled", "open", "not_started")
    rows = [(word.replace("_", " "), f"{n:,}") for word, n in status.items.items() if n or word in always]
    rows += [(f"{kind} calls", f"{sent:,}") for kind, sent in status.calls.items()]
    rows += [("money, by the prices of the job", str(status.money))] if status.money else []
    for what, when in status.expires.items():
        rows.append((f"{what} expire from", f"{when}, {status.expiring_within_hour[what]:,} within an hour"))
    show_rows([*rows, ("now", status.now), *([("page", status.page)] if status.page else [])])
    if status.not_started:
        show_lines([f"not started: {status.items['not_started']:,}. To do: {status.not_started}"])
    show_lines(about_unread(status.unread, status.collect_by))
    show_changed(status.changed)
    show_lines(status.open_items)
    if more := status.open_not_shown - status.unnamed:
        show_lines([f"and {more:,} more; a run that ends lists all of them in {OPEN_FILE}"])
    if status.unnamed:
        n = status.unnamed
        show_lines([f"{count(n, 'item in doubt is', 'items in doubt are')} named once `pipeline {goes_on}` goes on"])

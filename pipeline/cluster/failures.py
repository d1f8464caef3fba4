"""The failures of shards: of a journal, by the shared folder or by itself, and of what ended worker after worker."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from pipeline.cluster.claims import GivenBack, Standing
from pipeline.cluster.epochs import folder_of
from pipeline.cluster.joining import answers
from pipeline.cluster.late_lines import hand_over
from pipeline.cluster.layout import shard_folder
from pipeline.errors import JournalError
from pipeline.journal.emergency import require_room
from pipeline.leases.account import SharedAccount


def failed_by_itself(folder: Path, error: JournalError) -> bool:
    """Return whether the shared folder answers although a shard's journal failed.

    Raises the error where the folder has no room, since every shard would meet the same.
    """
    with suppress(OSError):  # out of reach
        _refuse_full(folder, error)
    return answers(folder)


def wait_until_it_answers(folder: Path, account: SharedAccount, say: Callable[[str], None]) -> None:
    """Wait for the shared folder, and leave the account's calls per second to others meanwhile."""
    say("the shared folder is out of reach; this worker goes on when it answers again")
    account.hungry(())
    while not answers(folder):
        time.sleep(account.lease.renew_s / 2)
    say("the shared folder answers again")
    hand_over(folder)


def say_set_aside(run: Path, shards: Iterable[Standing], say: Callable[[str], None]) -> bool:
    """Say which shards a person must look at; return whether there are any."""
    aside = [one for one in shards if one.state is GivenBack.ASIDE]
    for one in aside:
        say(
            f"shard {one.shard:04} is set aside: its run ended its worker again and again; see "
            f"{folder_of(shard_folder(run, one.shard), one.base)}, then `pipeline work JOB --set-aside`"
        )
    return bool(aside)


def _refuse_full(folder: Path, error: JournalError) -> None:
    """Raise the error that ended a shard's run where the shared folder has no room for another. Raises OSError."""
    try:
        require_room(folder, 1)
    except JournalError:
        raise error from None

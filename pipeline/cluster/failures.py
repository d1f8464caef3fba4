"""The failures of shards: of a journal, by the shared folder or by itself, and of what ended worker after worker."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.cluster.claims import GivenBack, Standing, Why
from pipeline.cluster.epochs import folder_of
from pipeline.cluster.joining import answers
from pipeline.cluster.late_lines import hand_over
from pipeline.cluster.layout import shard_folder
from pipeline.errors import JournalError
from pipeline.journal.emergency import require_room
from pipeline.leases.account import SharedAccount
from pipeline.system.fault import typed
from pipeline.system.wording import count


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


def say_set_aside(
    run: Path, shards: Iterable[Standing], say: Callable[[str], None], *, words: Sequence[object]
) -> bool:
    """Say which shards a person must look at; return whether there are any. `words` name the job in a command."""
    aside = [one for one in shards if one.state is GivenBack.ASIDE]
    for one in aside:
        say(f"shard {one.shard:04} is set aside: {_about(one, run, typed('work', *words, '--set-aside'))}")
    return bool(aside)


def say_open(run: Path, shards: Iterable[Standing], say: Callable[[str], None]) -> bool:
    """Say how many items are open in shards that came to their end, on whatever machine; return whether any are."""
    left = sum(one.open_items for one in shards if one.state is GivenBack.DONE)
    if left:
        say(f"{count(left, 'item is', 'items are')} open; `{typed('status', run)}` says what to do about each")
    return bool(left)


def _about(shard: Standing, run: Path, again: str) -> str:
    """Say why a shard is set aside, and what to do before it is worked on by the command `again`."""
    folder, mend = shard_folder(run, shard.shard), typed("repair", run)
    see = folder_of(folder, shard.base) if shard.base else folder
    match shard.why:
        case Why.DEATHS:
            return f"its run ended its worker again and again; see {see}, then `{again}`"
        case Why.DAMAGE:
            return f"its run directory could not be used; `{mend}` mends it or says what is to do, then `{again}`"
        case Why.BUG:
            return f"a bug of this program ended its run; see {see}, then `{again}` tries it once more"
    return f"see {see}; where it is damaged `{mend}` comes first, then `{again}`"


def _refuse_full(folder: Path, error: JournalError) -> None:
    """Raise the error that ended a shard's run where the shared folder has no room for another. Raises OSError."""
    try:
        require_room(folder, 1)
    except JournalError:
        raise error from None

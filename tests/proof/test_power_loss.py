"""Power failures at any moment of a run, and of the recovery from one: nothing acknowledged lost, nothing corrupt."""

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.endpoints.details import Details
from pipeline.journal.spool import Spool
from pipeline.results.late_details import DETAILS, append, read_late
from pipeline.run.known_patents import KnownPatents
from tests.proof.mutants import MUTANTS
from tests.proof.power_loss import Campaign, World, fast_folder
from tests.proof.recorded import RECORDED, used
from tests.proof.recorder import recording
from tests.proof.tape import Tape
from tests.support.fakes import NOW
from tests.support.lengths import lengths

SEED = int(os.environ.get("PROOF_SEED", "1"))
ALL = [way.name for way in RECORDED]
# Each mistake is looked for in the way of use that has the step it is made in.
MISTAKES = dict.fromkeys(MUTANTS, "plain") | {
    "not-laid-by": "details",
    "view-not-kept": "views",
    "patent-not-kept": "details",
    "drawing-not-written": "submit",
    "drawing-not-synced": "submit",
    "hits-not-synced": "wait",
    "late-name-not-synced": "details",
    "patents-folder-not-synced": "details",
}
# Looked for by kills alone: pages need not survive a power loss, a count is no matter of the disk, a row that comes
# late ends runs as short as these with an error, and no run here retries a doubt.
NOT_HERE = ("page-not-awaited", "patents-not-counted", "task-told-early", "doubt-retried-for-ever")


@pytest.mark.parametrize("states", lengths(long=300, thorough=800))
def test_power_loss_at_any_moment_loses_nothing_and_corrupts_nothing(states: int) -> None:
    with fast_folder() as base:
        score = Campaign(Path(base), states=states, seed=SEED, ways=ALL).run()
    assert not score.wrong, f"PROOF_SEED={SEED} {score}\n" + "\n".join(score.wrong[:20])
    # The proof is only worth something if the failures hit what they were meant to hit.
    assert min(score.adopted, score.in_doubt, score.again) > states / 40
    assert set(score.told) == {"laid", "task", "view", "patent", "late", "drawing"}


@pytest.mark.parametrize("mutant", [name for name in MUTANTS if name not in NOT_HERE])
def test_each_mistake_is_found_by_power_loss(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[mutant].apply(monkeypatch)
    with fast_folder() as base:
        campaign = Campaign(Path(base), states=2000, seed=SEED, stop_at_first=True, ways=[MISTAKES[mutant]])
        score = campaign.run()
    assert score.wrong, f"{MUTANTS[mutant].text} went unnoticed: PROOF_SEED={SEED} {score}"


def test_normal_synchronisation_loses_acknowledged_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """What PRAGMA synchronous=FULL is for; no kill -9 can show it, because the page cache survives.

    Three hundred states find it in three campaigns of four (measured): the order of the threads decides.
    """
    MUTANTS["normal"].apply(monkeypatch)
    named: Counter[str] = Counter()
    for seed in range(SEED, SEED + 12):
        with fast_folder() as base:
            score = Campaign(Path(base), states=300, seed=seed, ways=["plain"]).run()
        named += Counter(wrong.rpartition(": ")[0].rpartition(": ")[2] for wrong in score.wrong)
        if any("nothing_acknowledged_is_lost" in wrong for wrong in score.wrong):
            return
    raise AssertionError(named)


def test_details_that_came_late_survive_with_the_name_of_their_file(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    tape = Tape(tmp_path / "run")
    with recording(tape):
        append(tmp_path / "run" / DETAILS, "A", Details({}), at=NOW)
    for left in _failures(tape, tmp_path):
        assert list(read_late(left)) == ["A"]


def test_what_the_vendor_said_of_a_patent_survives_with_the_folders_of_the_cache(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    tape = Tape(tmp_path / "run")
    with recording(tape) as connecting, used(tmp_path / "run", tape, connecting):
        known = KnownPatents(tmp_path / "run" / "state" / "patents" / "a.sqlite", run="r", say=print)
        known.keep("D301", {"p1": b"{}"})
        known.close()
    for left in _failures(tape, tmp_path):
        again = KnownPatents(left / "state" / "patents" / "a.sqlite", run="s", say=print)
        assert again.take("D301", ["p1"]).known == {"p1": b"{}"}
        again.close()


def _failures(tape: Tape, base: Path) -> Iterator[Path]:
    """Let the power fail at the end of a tape, several times; yield what is left."""
    world = World(tape, {}, {0: {}})
    for event in tape.events:
        world.happen(event)
    for number in range(12):
        world.fail(base / f"left-{number}", random.Random(number))
        yield base / f"left-{number}"


def test_what_sqlite_lays_aside_for_itself_is_not_recorded(tmp_path: Path) -> None:
    """A large group can need a file without a name."""
    tape = Tape(tmp_path)
    with recording(tape) as connecting:
        connection = connecting(tmp_path / "some.sqlite")
        connection.execute("CREATE TABLE long (text)")
        connection.execute("PRAGMA cache_size=10")
        numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        connection.execute(f"{numbers} INSERT INTO long SELECT hex(randomblob(100)) FROM n")
        assert len(connection.execute("SELECT text FROM long ORDER BY text").fetchall()) == 20_000
        connection.close()


def test_an_old_spool_segment_that_comes_back_is_not_taken_for_another_items_hits(tmp_path: Path) -> None:
    """Segments are numbered anew once all are gone, and neither their names nor their deletion are synced."""
    first = Spool(tmp_path)
    ref = first.append(b'["hits of A"]', mark=b"A")
    old = (tmp_path / "00000001.spool").read_bytes()
    first.release(ref.segment)
    first.close()
    second = Spool(tmp_path)
    assert second.append(b'["hits of B"]', mark=b"B") == ref
    assert second.read(ref, mark=b"B") == b'["hits of B"]'
    second.close()
    (tmp_path / "00000001.spool").write_bytes(old)  # what the power failure left
    assert Spool(tmp_path, [(1, 1)]).read(ref, mark=b"B") is None

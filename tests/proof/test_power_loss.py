"""Power failures at any moment of a run, and of the recovery from one: nothing acknowledged lost, nothing corrupt."""

import os
from collections import Counter
from pathlib import Path

import pytest

from pipeline.journal.spool import Spool
from tests.proof.mutants import MUTANTS
from tests.proof.power_loss import Campaign, fast_folder
from tests.support.lengths import lengths

SEED = int(os.environ.get("PROOF_SEED", "1"))


@pytest.mark.parametrize("states", lengths(short=200, long=1000))
def test_power_loss_at_any_moment_loses_nothing_and_corrupts_nothing(states: int) -> None:
    with fast_folder() as base:
        score = Campaign(Path(base), states=states, seed=SEED).run()
    assert not score.wrong, f"PROOF_SEED={SEED} {score}\n" + "\n".join(score.wrong[:20])
    # The proof is only worth something if the failures hit what they were meant to hit.
    assert min(score.adopted, score.in_doubt, score.again) > states / 20


@pytest.mark.proofs
@pytest.mark.parametrize("states", lengths(short=200, long=1000))
def test_power_loss_while_reports_are_awaited_loses_no_task_and_corrupts_nothing(states: int) -> None:
    with fast_folder() as base:
        score = Campaign(Path(base), states=states, seed=SEED, report="wait").run()
    assert not score.wrong, f"PROOF_SEED={SEED} {score}\n" + "\n".join(score.wrong[:20])
    assert min(score.adopted, score.in_doubt, score.again) > 0


@pytest.mark.proofs
@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_mistake_is_found_by_power_loss(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[mutant].apply(monkeypatch)
    with fast_folder() as base:
        score = Campaign(Path(base), states=2000, seed=SEED, stop_at_first=True).run()
    assert score.wrong, f"{MUTANTS[mutant].text} went unnoticed: PROOF_SEED={SEED} {score}"


@pytest.mark.proofs
def test_normal_synchronisation_loses_acknowledged_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """What PRAGMA synchronous=FULL is for; no kill -9 can show it, because the page cache survives.

    Three hundred states find it in three campaigns of four (measured): the order of the threads decides.
    """
    MUTANTS["normal"].apply(monkeypatch)
    named: Counter[str] = Counter()
    for seed in range(SEED, SEED + 12):
        with fast_folder() as base:
            score = Campaign(Path(base), states=300, seed=seed).run()
        named += Counter(wrong.rpartition(": ")[0].rpartition(": ")[2] for wrong in score.wrong)
        if any("nothing_acknowledged_is_lost" in wrong for wrong in score.wrong):
            return
    raise AssertionError(named)


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

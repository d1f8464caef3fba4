"""Real processes, really killed: nothing acknowledged lost, nothing created twice, nothing paid untracked."""

import os
from pathlib import Path

import pytest

from tests.proof.kills import Campaign
from tests.proof.mutants import MUTANTS
from tests.support.lengths import lengths

SEED = int(os.environ.get("PROOF_SEED", "7"))


@pytest.mark.parametrize("kills", lengths(short=4, long=100))
def test_killed_at_any_moment_a_job_ends_with_nothing_lost_and_nothing_paid_twice(tmp_path: Path, kills: int) -> None:
    score = Campaign(tmp_path, kills=kills, seed=SEED).run()
    assert not score.wrong, f"PROOF_SEED={SEED} {score}\n" + "\n".join(score.wrong[:20])
    assert sum(score.kills.values()) == kills
    assert score.acknowledged > 10 * kills
    assert score.in_doubt > score.falsely_in_doubt
    assert score.falsely_in_doubt > 0 or kills < 100


@pytest.mark.proofs
@pytest.mark.parametrize("mutant", ["no-intent", "early-ack", "line-after-commit", "two-commits"])
def test_each_mistake_is_found_by_kills(mutant: str, tmp_path: Path) -> None:
    """Those that a kill can show: what only the page cache holds survives it, see test_power_loss.py."""
    score = Campaign(tmp_path, kills=200, seed=SEED, mutant=mutant, items=250).run()
    found = [wrong for wrong in score.wrong if "journal cannot be written" not in wrong]  # else it is merely broken
    assert found, f"{MUTANTS[mutant].text} went unnoticed: PROOF_SEED={SEED} {score} {score.wrong}"

"""Four workers of one job, hurt in every way at once; what their vendor really did and what they say must agree."""

import os
from pathlib import Path

import pytest

from tests.proof.chaos import MUTANTS, QPS, Campaign
from tests.support.lengths import only_thorough, some

SEED = int(os.environ.get("PROOF_SEED", "7"))


@pytest.mark.parametrize("injuries", some([60, 300], 60))
def test_injuries_of_four_machines_break_no_promise(tmp_path: Path, injuries: int) -> None:
    score = Campaign(tmp_path, injuries=injuries, seed=SEED, pictures=200, every_s=0.5).run()
    assert not score.wrong, f"PROOF_SEED={SEED}\n{score}\n" + "\n".join(score.wrong[:20])
    assert score.injuries.total() == injuries
    assert len(score.injuries) >= 5, score
    assert score.judged.calls > score.judged.pictures


@only_thorough
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_worker_that_keeps_no_lease_is_found_out(tmp_path: Path, mutant: str) -> None:
    score = Campaign(tmp_path, injuries=30, seed=SEED, mutant=mutant, pictures=400).run()
    found = score.judged
    assert found.twice or found.untracked or found.after_lease or max(found.worst.values()) > QPS, score

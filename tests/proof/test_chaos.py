"""Four workers of one job, hurt in every way at once; what their vendor really did and what they say must agree."""

import os
from pathlib import Path

import pytest

from tests.proof.chaos import MUTANTS, Campaign
from tests.support.lengths import some

pytestmark = pytest.mark.proofs

SEED = int(os.environ.get("PROOF_SEED", "7"))
SHORT = {"pictures": 200, "every_s": 0.5}


@pytest.mark.parametrize("injuries", some([60, 300], 60))
def test_sixty_injuries_of_four_machines_break_no_promise(tmp_path: Path, injuries: int) -> None:
    score = Campaign(tmp_path, injuries=injuries, seed=SEED, **SHORT).run()
    assert not score.wrong, f"PROOF_SEED={SEED}\n{score}\n" + "\n".join(score.wrong[:20])
    assert score.injuries.total() == injuries
    assert len(score.injuries) >= 5, score
    assert score.judged.calls > score.judged.pictures


@pytest.mark.parametrize("mutant", some(MUTANTS, "takeover-after-3-s"))
def test_a_worker_that_keeps_no_lease_is_found_out(tmp_path: Path, mutant: str) -> None:
    score = Campaign(tmp_path, injuries=200, seed=SEED, mutant=mutant, **SHORT).run()
    assert score.judged.twice or score.judged.untracked or score.judged.after_lease, score

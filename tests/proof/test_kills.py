"""Real processes, really killed: nothing acknowledged lost, nothing created twice, nothing paid untracked or again."""

import os
from pathlib import Path

import pytest

from tests.proof.kills import Campaign
from tests.proof.mutants import MUTANTS
from tests.proof.ways import WAYS
from tests.support.lengths import lengths, some

SEED = int(os.environ.get("PROOF_SEED", "7"))
ALL = [way.name for way in WAYS]
# Those that a kill can show: what only the page cache holds survives it, see test_power_loss.py.
MISTAKES = {
    "no-intent": "plain",
    "early-ack": "plain",
    "line-after-commit": "plain",
    "two-commits": "plain",
    "page-not-awaited": "deep",
    "not-laid-by": "details",
    "task-told-early": "wait",
    "view-not-kept": "views",
    "patent-not-kept": "details",
    "patents-not-counted": "details",
    "drawing-not-written": "submit",
    "doubt-retried-for-ever": "doubts retried",
}


@pytest.mark.parametrize(("kills", "items"), lengths(long=(20, 150), thorough=(100, 400)))
def test_killed_at_any_moment_a_job_ends_with_nothing_lost_and_nothing_paid_twice(
    tmp_path: Path, kills: int, items: int
) -> None:
    score = Campaign(tmp_path, kills=kills, seed=SEED, items=items, ways=ALL).run()
    assert not score.wrong, f"PROOF_SEED={SEED} {score}\n" + "\n".join(score.wrong[:20])
    assert sum(score.kills.values()) == kills
    assert score.acknowledged > 10 * kills
    assert score.in_doubt >= score.falsely_in_doubt
    assert len(score.ways) >= len(ALL) - 1, score
    assert min(score.told[step] for step in ("laid", "task", "hits", "page", "view", "patent", "drawing")) > 0


@pytest.mark.parametrize("mutant", some(MISTAKES, "early-ack", "line-after-commit", "drawing-not-written"))
def test_each_mistake_is_found_by_kills(mutant: str, tmp_path: Path) -> None:
    score = Campaign(tmp_path, kills=200, seed=SEED, mutant=mutant, items=250, ways=[MISTAKES[mutant]]).run()
    found = [wrong for wrong in score.wrong if "journal cannot be written" not in wrong]  # else it is merely broken
    assert found, f"{MUTANTS[mutant].text} went unnoticed: PROOF_SEED={SEED} {score} {score.wrong}"

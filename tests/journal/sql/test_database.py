"""One connection: what is remembered, what a commit is worth."""

from pipeline.journal.sql.database import Database


def test_commits_survive_a_power_loss_by_configuration(db: Database) -> None:
    """FULL (2): NORMAL lost acknowledged items in 202 of 400 simulated power losses."""
    assert db.do("PRAGMA synchronous").fetchone() == (2,)
    assert db.do("PRAGMA journal_mode").fetchone() == ("wal",)

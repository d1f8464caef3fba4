"""Uploads of pictures that are views of some item, each picture once, by its digest."""

from collections.abc import Sequence

from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import WAITING, state_in
from pipeline.models import State, Upload
from pipeline.views import MARK

_HAS_VIEWS = f"source GLOB '{MARK}*'"


def upload_of(db: Database, sha256: str) -> Upload | None:
    """Read the upload of a picture; None when there is none."""
    row = db.do("SELECT url, expires FROM view_uploads WHERE sha256 = ?", (sha256,)).fetchone()
    return None if row is None else Upload(row[0], row[1])


def uploaded(db: Database, sha256: str, upload: Upload) -> None:
    """Note the upload of a picture."""
    db.do("INSERT OR REPLACE INTO view_uploads VALUES (?, ?, ?)", (sha256, upload.url, upload.expires_at))


def forget(db: Database, digests: Sequence[str]) -> None:
    """Drop the uploads of these pictures."""
    marks = ", ".join("?" * len(digests))
    db.do(f"DELETE FROM view_uploads WHERE sha256 IN ({marks})", tuple(digests))


def uploads(db: Database) -> dict[str, float]:
    """Read when the upload of each picture expires, by its digest."""
    return {sha256: float(expires) for sha256, expires in db.do("SELECT sha256, expires FROM view_uploads").fetchall()}


def with_views(db: Database, *, generation: int) -> list[tuple[int, str]]:
    """List the items of a reading that have views and wait, or are in doubt, with their sources."""
    rows = db.do(
        f"SELECT ord, source FROM items WHERE local AND {_HAS_VIEWS} AND generation = ? "
        f"AND ({WAITING} OR {state_in((State.IN_DOUBT,))}) ORDER BY ord",
        (generation,),
    )
    return [(int(ord_), str(source)) for ord_, source in rows.fetchall()]


def count_single(db: Database, *, generation: int) -> int:
    """Count the items of a reading that have one picture and wait."""
    return int(
        db.do(
            f"SELECT count(*) FROM items WHERE NOT {_HAS_VIEWS} AND generation = ? AND {WAITING} AND same_as IS NULL",
            (generation,),
        ).fetchone()[0]
    )

"""Read results into a table, a row a hit: `python to_pandas.py RUN`; without pandas a CSV on stdout."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline import read_records

COLUMNS = ("item", "status", "client", "rank", "score", "patent", "title", "owner", "legal_status", "task_id")


def rows(run: Path) -> Iterator[dict[str, object]]:
    """Yield a row for each hit of each settled item; an item without hits has one row of its own."""
    for record in read_records(run):
        row: dict[str, object] = {
            "item": record.item,
            "status": record.status,
            "client": record.image.labels.get("client", ""),
            "task_id": record.task.task_id if record.task is not None else "",
        }
        if not record.hits:
            yield row
        for rank, hit in enumerate(record.hits, 1):
            detail = record.details.get(str(hit.get("patent_id")))  # where the job asked for details
            more = {} if detail is None else {"owner": detail.owner, "legal_status": detail.status}
            yield (
                row
                | more
                | {
                    "rank": rank,
                    "score": hit.get("score"),
                    "patent": hit.get("patent_pn"),
                    "title": hit.get("title"),
                }
            )


if __name__ == "__main__":
    found = rows(Path(sys.argv[1]))
    try:
        import pandas
    except ImportError:  # optional: pip install pandas
        table = csv.DictWriter(sys.stdout, COLUMNS)
        table.writeheader()
        table.writerows(found)
    else:
        frame = pandas.DataFrame(found, columns=list(COLUMNS))
        print(frame.groupby("item")["score"].max().sort_values(ascending=False).head(20))

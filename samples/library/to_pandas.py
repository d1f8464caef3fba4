"""Read results into a table, a row a hit: `python to_pandas.py RUN`; without pandas a CSV on stdout."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline import read_records

COLUMNS = (
    *("item", "status", "client", "rank", "score", "patent_id", "patent", "title"),
    *("owner", "legal_status"),  # where the job asks for `details`
    *("compared", "vendor_level", "task_id"),  # where it says `task: {report: wait}`; the level is the vendor's word
)


def rows(run: Path) -> Iterator[dict[str, object]]:
    """Yield a row for each hit of each settled item; an item without hits has one row of its own."""
    for record in read_records(run):
        row: dict[str, object] = {
            "item": record.item,
            "status": record.status,
            "client": record.image.labels.get("client", ""),
            "task_id": record.task.task_id if record.task is not None else "",
        }
        compared = {one.patent_id: one for one in record.comparisons}
        if not record.hits:
            yield row
        for rank, hit in enumerate(record.hits, 1):
            row["patent_id"] = patent = str(hit.get("patent_id"))
            detail, comparison = record.details.get(patent), compared.get(patent)
            yield row | {
                "rank": rank,
                "score": hit.get("score"),
                "patent": hit.get("patent_pn"),
                "title": hit.get("title"),
                "owner": detail.owner if detail is not None else "",
                "legal_status": detail.status if detail is not None else "",
                "compared": comparison.score_of_1 if comparison is not None else None,
                "vendor_level": comparison.risk_level if comparison is not None else "",
            }


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

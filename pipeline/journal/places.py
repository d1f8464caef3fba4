"""The files of a run directory, and of the directory inside it whose reports `pipeline collect` reads.

That one is a run directory as any other, with a journal and a lock of its own, so that it is written while a run goes
on. Only its records lie elsewhere: beside those of the run, whose tasks they are the reports of.
"""

from pathlib import Path

JOURNAL, RESULTS, SPOOL = "journal.sqlite", "results.jsonl", "spool"
SUMMARY, REPORT = "summary.json", "report.html"
REPORTS_FOLDER, REPORTS = "reports", "reports.jsonl"


def collection_of(run: Path) -> Path:
    """Return the directory of the reports of a run directory; it need not be there."""
    return run / REPORTS_FOLDER


def is_collection(folder: Path) -> bool:
    """Return whether a folder is the one of reports inside a run directory."""
    whole = folder.absolute()
    return whole.name == REPORTS_FOLDER and any((whole.parent / name).is_file() for name in (JOURNAL, RESULTS, REPORTS))


def run_of(folder: Path) -> Path | None:
    """Return the run directory whose reports a folder is for; None for one that is a run directory itself."""
    return folder.absolute().parent if is_collection(folder) else None


def results_file(folder: Path) -> Path:
    """Return the file of a run directory's records, or of the reports that were collected for it."""
    around = run_of(folder)
    return folder / RESULTS if around is None else around / REPORTS


def folder_of(results: Path) -> Path:
    """Return the directory whose file of records this is."""
    return results.parent / REPORTS_FOLDER if results.name == REPORTS else results.parent

"""The formats of exports: a line each, and what must be installed for them."""

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from pipeline.errors import SpecError
from pipeline.results.exports.csv_file import write_csv
from pipeline.results.exports.export import Export, Written
from pipeline.results.exports.jsonl_file import write_jsonl
from pipeline.system.fault import Fault

Write = Callable[[BinaryIO, Export], Written]


class Format(NamedTuple):
    """A format: the loader of its writer, and the extra of this package that its library comes with."""

    load: Callable[[], Write]
    extra: str = ""  # "" where nothing more is needed
    both: bool = False  # one file has room for products and hits
    text: bool = False  # it may be written to stdout


def _xlsx() -> Write:
    from pipeline.results.exports.workbook import write_xlsx

    return write_xlsx


def _parquet() -> Write:
    from pipeline.results.exports.parquet_file import write_parquet

    return write_parquet


def _pdf() -> Write:
    from pipeline.results.exports.pdf import write_pdf

    return write_pdf


FORMATS = {
    "xlsx": Format(_xlsx, "export", both=True),
    "csv": Format(lambda: write_csv, text=True),
    "parquet": Format(_parquet, "parquet"),
    "jsonl": Format(lambda: write_jsonl, text=True),
    "pdf": Format(_pdf, "pdf", both=True),
}


def writer_of(name: str, *, option: str = "") -> Write:
    """Return the writer of a format; `option` asked for it. Raises SpecError where its library is not installed."""
    chosen = FORMATS[name]
    try:
        return chosen.load()
    except ModuleNotFoundError as exc:
        if not chosen.extra:
            raise
        what = f"{exc.name} is not installed, and {name} is written with it"
        fix = f"pip install 'infringement-pipeline[{chosen.extra}]'"
        raise SpecError(Fault(what, where=option or f"--to {name}", fix=fix)) from None

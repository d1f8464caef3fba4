"""The command `pipeline demo`."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.cli.screen import Output, Remarks, observing, show_lines, show_summary, shown
from pipeline.results.reading import read_records
from pipeline.run.load import load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions
from pipeline.sandbox.resources import resource
from pipeline.sandbox.truth import score_against_truth


def demo_command(output: Output, *, new: bool) -> int:
    """Run the shipped job on the shipped pictures, into ./runs; return the exit code."""
    path, pictures = resource("demo.yaml"), resource("products").parent
    job = load(path, overrides=[f"root={pictures}", "output.dir=runs"])
    with observing(output) as display, Remarks(output) as remarks:
        summary = LocalExecutor().run(job, shown(RunOptions(new=new), display, remarks))
        if summary.exit_code:
            remarks.release()
    code = show_summary(summary, output)
    if summary.items["settled"] and not output.quiet:
        show_lines([score_against_truth(_first_hits(Path(summary.results).parent), resource("truth.json"))])
    return code


def _first_hits(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the picture of each product and the URL of its first hit."""
    for record in read_records(folder):
        for hit in record.hits[:1]:
            yield record.image.source, str(hit.get("url", ""))

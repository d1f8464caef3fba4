"""`demo`."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.cli.commands.run import carry_out, tell
from pipeline.results.reading import read_records
from pipeline.run.load import load
from pipeline.run.options import RunOptions
from pipeline.sandbox.resources import resource
from pipeline.sandbox.truth import score_against_truth


def demo_command(*, new: bool, quiet: bool) -> int:
    """Run the shipped job on the shipped pictures, into ./runs."""
    spec, pictures = resource("demo.yaml"), resource("products").parent
    job = load(spec, overrides=[f"root={pictures}", "output.dir=runs"])
    summary = carry_out(job, RunOptions(new=new), quiet=quiet)
    tell(summary, as_json=False, quiet=quiet)
    if summary.items["settled"]:
        print(score_against_truth(_first_hits(Path(summary.results).parent), resource("truth.json")))
    return summary.exit_code


def _first_hits(folder: Path) -> Iterator[tuple[str, str]]:
    for record in read_records(folder):
        for hit in record.hits[:1]:
            yield record.image.source, str(hit.get("url", ""))

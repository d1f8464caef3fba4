"""The command `pipeline demo`."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.cli.screen import Output, Remarks, observing, show_lines, show_summary, shown
from pipeline.results.records import read_records
from pipeline.run.load import load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions
from pipeline.sandbox.resources import resource


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


def score_against_truth(first_hits: Iterable[tuple[str, str]], truth: Path) -> str:
    """Say for how many of the shipped products a drawing of the right design came first, as one line.

    `first_hits` are pairs of a product's picture and the URL of its first hit.
    """
    known = json.loads(truth.read_text(encoding="utf-8"))
    asked = right = right_kind = 0
    for source, url in first_hits:
        product = known["products"].get(Path(source).name)
        if product is None:
            continue
        first = known["gallery"].get(Path(urlsplit(url).path).name, {})
        asked += 1
        right += first.get("family") == product["family"]
        right_kind += first.get("kind") == product["kind"]
    share = f"{right / asked:.0%}" if asked else "none"
    return f"right design first: {right} of {asked} ({share}); right kind of product first: {right_kind} of {asked}"


def _first_hits(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the picture of each product and the URL of its first hit."""
    for record in read_records(folder):
        for hit in record.hits[:1]:
            yield record.image.source, str(hit.get("url", ""))

"""The quality of a search over the shipped products, whose right designs are known."""

import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit


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

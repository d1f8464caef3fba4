"""How good a search was where the truth is known: the demo's pictures."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import msgspec


class _Hit(msgspec.Struct):
    url: str = ""


class _Image(msgspec.Struct):
    source: str


class _Line(msgspec.Struct):
    image: _Image
    hits: list[_Hit]


def score_against_truth(results: Path, truth: Path) -> str:
    """Say for how many of the shipped products a drawing of the right design came first, as one line."""
    known = json.loads(truth.read_text(encoding="utf-8"))
    asked = right = right_kind = 0
    with results.open("rb") as lines:
        for raw in lines:
            line = msgspec.json.decode(raw, type=_Line)
            product = known["products"].get(Path(line.image.source).name)
            if product is None or not line.hits:
                continue
            first = known["gallery"].get(Path(urlsplit(line.hits[0].url).path).name, {})
            asked += 1
            right += first.get("family") == product["family"]
            right_kind += first.get("kind") == product["kind"]
    share = f"{right / asked:.0%}" if asked else "none"
    return f"right design first: {right} of {asked} ({share}); right kind of product first: {right_kind} of {asked}"

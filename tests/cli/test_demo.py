"""The quality of a search over the shipped products, told in one line."""

import json
from pathlib import Path

import pytest

from pipeline.cli.commands.demo import score_against_truth


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    known = {
        "products": {"mug-0.jpg": {"family": "mug-0", "kind": "mug"}, "bag-0.jpg": {"family": "bag-0", "kind": "bag"}},
        "gallery": {
            "mug-0-1.png": {"family": "mug-0", "kind": "mug"},
            "mug-1-1.png": {"family": "mug-1", "kind": "mug"},
        },
    }
    file = tmp_path / "truth.json"
    file.write_text(json.dumps(known))
    return file


def url(drawing: str) -> str:
    return f"https://sandbox.invalid/gallery/{drawing}?exp=1&sig=a"


@pytest.mark.parametrize(
    ("first_hits", "said"),
    [
        pytest.param(
            [("products/mug-0.jpg", url("mug-0-1.png")), ("bag-0.jpg", url("mug-1-1.png"))],
            "right design first: 1 of 2 (50%); right kind of product first: 1 of 2",
            id="one right, one wrong",
        ),
        pytest.param(
            [("mug-0.jpg", url("mug-1-1.png"))],
            "right design first: 0 of 1 (0%); right kind of product first: 1 of 1",
            id="another design of the kind",
        ),
        pytest.param(
            [("mug-0.jpg", "")],
            "right design first: 0 of 1 (0%); right kind of product first: 0 of 1",
            id="a hit without a URL",
        ),
        pytest.param(
            [("holiday.jpg", url("mug-0-1.png"))],
            "right design first: 0 of 0 (none); right kind of product first: 0 of 0",
            id="a picture that is not shipped",
        ),
    ],
)
def test_products_are_counted_by_their_first_hit(truth: Path, first_hits: list[tuple[str, str]], said: str) -> None:
    assert score_against_truth(first_hits, truth) == said

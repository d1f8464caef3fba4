"""Files that travel with the package: the gallery, the demo pictures, the demo job.

In a wheel they lie in `pipeline/shipped/`; in a checkout they are read where they are kept: `samples/`, `configs/`.
"""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_CHECKOUT = {"demo.yaml": "configs/demo.yaml"}


def resource(name: str) -> Path:
    """Return the path of a shipped file or folder: `gallery`, `products`, `truth.json` or `demo.yaml`."""
    shipped = _PACKAGE / "shipped" / name
    if shipped.exists():
        return shipped
    return _PACKAGE.parent / _CHECKOUT.get(name, f"samples/{name}")

"""The page in a real browser: what a person sees, and that nothing on it runs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.sandbox.resources import resource
from tests.support.report_records import hit, page, record, run

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_BROWSER = next((found for name in _NAMES if (found := shutil.which(name))), None)
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
GALLERY = "https://sandbox.invalid/gallery/"


@pytest.mark.proofs
@pytest.mark.skipif(_BROWSER is None, reason=f"no browser to look with: none of {', '.join(_NAMES)} is installed")
def test_a_browser_shows_the_products_from_disk_and_runs_nothing(tmp_path: Path) -> None:
    names = sorted(path.name for path in resource("products").iterdir())[:4]
    drawings = sorted(path.name for path in resource("gallery").iterdir())[:5]
    pictures = {name: (resource("products") / name).read_bytes() for name in names}
    pictures |= {GALLERY + name: (resource("gallery") / name).read_bytes() for name in drawings}
    evil = "<script>document.title='ran'</script><img src=x onerror=document.title='ran'>"
    hits = [hit(0.9 - place / 100, url=GALLERY + name, title=evil) for place, name in enumerate(drawings)]
    records = [record(f"SKU-{name}", image={"source": name, "labels": {evil: evil}}, hits=hits) for name in names]
    view = run(vendor="sandbox", counts={"tasked": 4})
    page(tmp_path, *records, pictures=pictures, view=view)

    dom = _dom(tmp_path / "report.html", tmp_path / "browser")
    assert re.findall(r"<h3><bdi>(.*?)</bdi>", dom) == [f"SKU-{name}" for name in names]
    assert dom.count('src="data:image/jpeg;base64,') == 4 * (1 + 5)
    assert "not from a real patent database" in dom
    assert "<script" not in dom
    assert "<title>autumn-portfolio: design patent screening (sandbox)</title>" in dom


def _dom(path: Path, profile: Path) -> str:
    """Load a page and return the DOM that the browser made of it."""
    profile.mkdir()
    command = [str(_BROWSER), *_FLAGS, f"--user-data-dir={profile}", "--dump-dom", path.as_uri()]
    done = subprocess.run(
        command, capture_output=True, timeout=120, check=True, env=os.environ | {"HOME": str(profile)}
    )
    return done.stdout.decode()

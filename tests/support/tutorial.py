"""The tutorial as it is followed: what lies in the folder at its beginning, and its steps."""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from tests.support.documents import ROOT

TUTORIAL = ROOT / "docs" / "tutorial.md"
ELSEWHERE = "<!-- not in the rehearsal -->"  # stands above a block that needs an account, or a clone


class Step(NamedTuple):
    """A block of commands, and what the tutorial says that they print; "" where it says nothing."""

    commands: str
    prints: str


def begin(folder: Path) -> None:
    """Lay the tutorial's list and pictures into a folder, as its first step does."""
    shutil.copy2(ROOT / "samples" / "portfolio" / "products.xlsx", folder)
    shutil.copytree(ROOT / "samples" / "products", folder / "photos")


def steps() -> list[Step]:
    """Return the steps that a rehearsal takes, in order."""
    text = TUTORIAL.read_text(encoding="utf-8")
    found = re.findall(r"^([^\n]*)\n```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", text, re.DOTALL | re.MULTILINE)
    return [Step(commands, prints) for above, commands, prints in found if ELSEWHERE not in above]

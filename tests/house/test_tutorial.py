"""The tutorial works as it stands: its commands, followed in order, print what it shows; its pictures are small."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import DOCUMENTS, ROOT
from tests.support.tutorial import begin, steps

LARGEST_KB, ALL_KB = 120, 500
SAVED = "item,patent_pn,decision,by,at,note,run\nSKU-1001,{number},watch,,2026-11-21T10:00:00.000Z,,\n"
SHELL_S = 300.0


def alike(line: str) -> str:
    """Return a line with its numbers and dates left open: they are those of the day."""
    return re.sub(r"\d+(?:[.,:-]\d+)*", "0", line.strip())


@pytest.mark.proofs
def test_the_tutorial_can_be_followed_and_prints_what_it_shows(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "autumn"
    for made in (home / "Downloads", folder, tmp_path / "bin"):
        made.mkdir(parents=True)
    program = tmp_path / "bin" / "pipeline"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pipeline "$@"\n')
    program.chmod(0o755)
    begin(folder)
    environment = os.environ | {"HOME": str(home), "USER": "ann", "PATH": f"{program.parent}:{os.environ['PATH']}"}
    for step in steps():
        if "Downloads" in step.commands:
            (home / "Downloads" / "decisions.csv").write_text(SAVED.format(number=first_patent(folder)))
        done = subprocess.run(
            ["sh", "-e"],
            input=step.commands,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SHELL_S,
        )
        assert done.returncode == 0, step.commands + done.stdout + done.stderr
        printed = {alike(line) for line in (done.stdout + done.stderr).splitlines()}
        assert [line for line in step.prints.splitlines() if alike(line) not in printed] == [], (
            done.stdout + done.stderr
        )
    assert (folder / "decisions.csv").read_text().count("watch") == 1
    [run] = (folder / "runs").glob("products-*")
    assert (run / "clients" / "Acme" / "report.html").is_file()
    assert [path.name for path in folder.glob("*.xlsx") if path.name != "products.xlsx"] == [f"{run.name}-Acme.xlsx"]


def first_patent(folder: Path) -> str:
    """Return a patent that was found for the first product."""
    [results] = folder.glob("runs/*/results.jsonl")
    [line] = [line for line in results.read_text().splitlines() if '"item":"SKU-1001"' in line]
    return str(re.findall(r'"patent_pn": ?"(\w+)"', line)[0])


def test_the_tutorial_has_steps_to_follow() -> None:
    assert len(steps()) >= 4
    assert [step.commands for step in steps() if step.prints] != []


def test_every_picture_of_the_documents_is_shown_and_of_bearable_size() -> None:
    pictures = {ROOT / "docs" / "report.png", *(ROOT / "docs" / "pictures").iterdir()}
    shown = set()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)|<img [^>]*src=\"([^\"]+)\"", text):
            shown.add((document.parent / "".join(target)).resolve())
    assert shown == pictures
    sizes = [path.stat().st_size for path in pictures]
    assert (max(sizes) <= LARGEST_KB * 1000, sum(sizes) <= ALL_KB * 1000) == (True, True)

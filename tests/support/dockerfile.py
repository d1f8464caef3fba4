"""The Dockerfile read, and its steps carried out without Docker: `python -m tests.support.dockerfile`.

Each stage gets a folder for its files and an environment of its own whose `python` and `pip` are those of the image;
paths that start at the root are taken to start at that folder. In the end the entry point runs the demo in the folder
that users mount.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "Dockerfile"
REACHING = re.compile(r"(PIP_\w+|SSL_CERT_FILE|\w+_(proxy|PROXY)|LANG|TMPDIR)")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the instructions of a Dockerfile in order, each with its arguments on one line."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            name, _, rest = line.strip().partition(" ")
            yield name, rest.strip()


class Stage:
    """A stage of the image: its files in a folder, its Python in an environment beside them."""

    def __init__(self, root: Path) -> None:
        self.root, self.place = root, root
        self.settings: dict[str, str] = {}
        self.entry: list[str] = []
        root.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "venv", root / "python"], check=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a command: those of the image, and how to reach others from this machine."""
        reaching = {name: value for name, value in os.environ.items() if REACHING.fullmatch(name)}
        return {
            **reaching,
            "PATH": f"{self.root / 'python' / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.root),
            **self.settings,
        }

    def moved(self, text: str) -> str:
        """Return a text with its paths moved into the stage's folder."""
        return re.sub(r"(?<![\w./])/(?=(?:src|wheel|work)\b)", f"{self.root}/", text)

    def run(self, command: list[str]) -> None:
        """Run a command as the image would."""
        sys.stdout.write(f"+ {shlex.join(command)}\n")
        sys.stdout.flush()
        subprocess.run(command, cwd=self.place, env=self.environment, check=True)


def carry_out(text: str, folder: Path) -> Stage:
    """Carry out all steps of a Dockerfile below a folder; return its last stage."""
    stages: dict[str, Stage] = {}
    for name, rest in instructions(text):
        if name == "FROM":
            stage = stages[rest.partition(" AS ")[2] or "last"] = Stage(folder / f"stage{len(stages)}")
            shell = ["/bin/sh", "-c"]
        elif name == "SHELL":
            shell = json.loads(rest)
        elif name == "WORKDIR":
            stage.place = Path(stage.moved(rest))
            stage.place.mkdir(exist_ok=True)
        elif name == "ENV":
            stage.settings |= {
                key: stage.moved(value) for key, value in (one.split("=", 1) for one in shlex.split(rest))
            }
        elif name == "COPY":
            _copy(stage, rest, stages)
        elif name == "RUN":
            stage.run([*shell, stage.moved(rest)])
        elif name == "ENTRYPOINT":
            stage.entry = json.loads(rest)
        elif name not in ("CMD", "USER", "STOPSIGNAL"):
            raise AssertionError(f"an instruction that nobody carries out here: {name}")
    return stages["last"]


def _copy(stage: Stage, rest: str, stages: dict[str, Stage]) -> None:
    """Copy what is tracked of the checkout, or files of another stage."""
    *options, source, target = shlex.split(rest)
    to = stage.place / stage.moved(target)
    if options:
        origin = stages[options[0].removeprefix("--from=")]
        shutil.copytree(origin.moved(source), to, dirs_exist_ok=True)
    elif source == ".":
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        for name in filter(taken, tracked.decode().strip("\0").split("\0")):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    else:
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / source, to)


def taken(name: str) -> bool:
    """Return whether .dockerignore lets a file into the image: it leaves out all, and takes in what `!` names."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    wanted = [line.removeprefix("!") for line in lines if line.startswith("!")]
    return any(name == one or name.startswith(f"{one}/") for one in wanted)


def main() -> None:
    """Carry out the Dockerfile, and run the demo in its image."""
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        stage = carry_out(FILE.read_text(encoding="utf-8"), Path(folder))
        assert list(stage.place.iterdir()) == [], "nothing of the checkout is in sight"
        stage.run([*stage.entry, "demo"])
        records = (stage.place / "runs" / "demo" / "results.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(records) == 36, len(records)
        assert (stage.place / "runs" / "demo" / "report.html").stat().st_size
    sys.stdout.write("Dockerfile: all steps carried out; the demo ran from an empty folder, 36 records\n")


if __name__ == "__main__":
    main()

"""The jobs of a campaign of kills: what each lists and asks, and what is known of its run directory."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.sandbox.server import SandboxServer
from tests.proof.book import Book
from tests.proof.history import Created, History, read_history
from tests.proof.told import Told, read_told
from tests.proof.ways import PLAIN, Way
from tests.support.jobs import NO_PICTURES

ITEMS = 400
IN_FLIGHT = 40
ACKNOWLEDGED, TOLD, REASON = "acknowledged", "told", "reason"
# The gallery's index takes 15 s to build: kept between campaigns, in the place where the tests keep theirs.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", tempfile.gettempdir())) / "infringement-pipeline"


@dataclass
class Jobs:
    """The jobs of one campaign, one after the other; their pictures differ, their vendor is the same.

    items  of a job of the plain way; other ways have their share of it
    api    keys of the section `api` besides the address, in JSON; `budget` is that of the job at hand
    task   the section `task`; that of the way where it is empty
    """

    base: Path
    vendor: SandboxServer
    items: int = ITEMS
    number: int = 0
    api: Mapping[str, Any] = field(default_factory=lambda: {"qps": 1_000_000})
    in_flight: int = IN_FLIGHT
    task: Mapping[str, Any] = field(default_factory=dict)
    way: Way = PLAIN
    budget: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.book = Book(self.vendor, self.base / "vendor")
        self._tasks_before = 0

    @property
    def folder(self) -> Path:
        return self.base / f"job-{self.number}"

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "job"

    @property
    def caches(self) -> Path:
        """The folder of the caches of patents, shared by all jobs."""
        return self.base / "state" / "infringement-pipeline" / "patents"

    @property
    def count(self) -> int:
        """The items of the job at hand."""
        return self.way.count(self.items)

    def next(self, way: Way = PLAIN, budget: Mapping[str, int] | None = None) -> Path:
        """Write the next job file."""
        self.number += 1
        self.way, self.budget = way, budget or {}
        self.folder.mkdir()
        self._tasks_before = sum(1 for _ in self.book.tasks())
        manifest = way.write_list(self.folder, items=self.count, number=self.number)
        job = self.folder / "job.yaml"
        api = {"base_url": self.vendor.url, "max_in_flight": self.in_flight, **self.api, **way.parts.get("api", {})}
        if self.budget:
            names = {kind: kind if kind == "details" else f"{kind}_calls" for kind in self.budget}
            api["budget"] = {names[kind]: cap for kind, cap in self.budget.items()}
        sections = {"search": {"limit": 3}, **way.parts, "api": api}
        if self.task:
            sections["task"] = self.task
        listed = [{"manifest": manifest}]
        spec = {"version": 1, "name": "job", "images": listed, "upload": {"public": True}, **NO_PICTURES, **sections}
        job.write_text(json.dumps(spec))  # JSON is YAML
        return job

    def executed(self) -> Iterator[Created]:
        """What the vendor executed for this job."""
        return self.book.tasks(after=self._tasks_before)

    def acknowledged(self) -> dict[str, int]:
        """The items that were reported as done in any life, with the CRC of their lines."""
        notes = self.folder / ACKNOWLEDGED
        if not notes.exists():
            return {}
        pairs = (note.split(" ", 1) for note in notes.read_text().splitlines())
        return {id_: int(crc) for crc, id_ in pairs}

    def told(self) -> list[Told]:
        """The steps that the engine was told are durable, in any life."""
        return read_told(self.folder / TOLD)

    def history(self, **known: Any) -> History:
        """What is known of this job's run directory at this moment."""
        known |= {"executed": self.executed(), "acknowledged": self.acknowledged()}
        return read_history(self.run, duplicates=self.way.duplicates, **known)

"""The ways of using the program that the campaigns draw from: what a job says, what it lists, what it may pay.

A further way is an entry in `WAYS`; its own steps are noted in `told.py` and judged in `steps.py` and `contents.py`.
`task.report: later` is to stand beside `wait` here, with the lines of reports.jsonl as a step of its own.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Self

from PIL import Image

from pipeline.sandbox.resources import resource

POOL = 48  # files that are views of some product
COUNTRY = ["US", "EU", "CN", "JP", "KR"]
WAIT = {"report": "wait", "settle_s": 60}
BEST = {"top": 4, "above": 0.0}


@dataclass(frozen=True)
class Way:
    """One way of use.

    items     its share of the items that a campaign asks for
    drawings  so many different pictures stand behind the items' URLs
    pages     that each search pays
    views     of each item, all of them files; 0 for items that are URLs
    parts     of the job file: search, task, details, method, api
    """

    name: str
    items: float = 1.0
    drawings: int = 8
    pages: int = 1
    views: int = 0
    parts: Mapping[str, Any] = field(default_factory=dict)

    def count(self, items: int) -> int:
        """Return how many items a job has in a campaign of jobs of so many."""
        return max(8, int(items * self.items))

    @property
    def submits(self) -> bool:
        return self.parts.get("method") == "submit"

    @property
    def waits(self) -> bool:
        """True if records come with the vendor's report."""
        return self.submits or self.parts.get("task", {}).get("report") == "wait"

    @property
    def details(self) -> Mapping[str, Any] | None:
        wanted: Mapping[str, Any] | None = self.parts.get("details")
        return wanted

    @property
    def duplicates(self) -> int:
        """Return how many creates in doubt the job lets be made once more: the vendor may execute them twice."""
        retry: Mapping[str, int] = self.parts.get("api", {}).get("on_in_doubt", {})
        return retry.get("max_duplicates", 0)

    @property
    def of_patents(self) -> tuple[str, ...]:
        """The endpoints that are asked for patents."""
        if self.details is None:
            return ()
        return ("D301", "P014") if self.details.get("family") else ("D301",)

    def needs(self, items: int) -> dict[str, int]:
        """Return the calls, and of details the patents, that a job of so many items pays without any trouble."""
        calls = {"create": items}
        if not self.submits:
            calls["search"] = items * self.pages
        if self.views:
            calls["upload"] = POOL
        if self.waits:
            calls["query"] = items * 6
        if self.details:
            calls["details"] = len(self.of_patents) * self.drawings * self.details["top"]
        return calls

    def capped(self, items: int, dice: random.Random, *, scarce: bool) -> dict[str, int]:
        """Draw budgets: three in two of what is needed; where `scarce`, now and then too little of one kind.

        What is resumed counts a few calls more at each kill, so the room is that of a hundred kills.
        """
        caps = {kind: count * 3 // 2 + 4000 for kind, count in self.needs(items).items()}
        if scarce and dice.random() < 0.3:
            kind = dice.choice(sorted(caps))
            caps[kind] = max(1, round(self.needs(items)[kind] * dice.uniform(0.3, 0.9)))
        return caps

    def write_list(self, folder: Path, *, items: int, number: int) -> str:
        """Write the list of a job's pictures, and those that are files; return its name."""
        if self.views:
            for name, data in pool().items():
                (folder / name).write_bytes(data)
            names, step = sorted(pool()), (1, 5, 7, 11, 13)[number % 5]
            rows = []
            for n in range(items):
                places = [(n * step + view * (1 + n // POOL)) % POOL for view in range(self.views)]
                rows.append({"id": f"P{n:06}", "views": [names[place] for place in places]})
            (folder / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            return "list.jsonl"
        names = sorted(path.name for path in resource("gallery").iterdir())
        names = names[number % 7 :: 7][: self.drawings] if self.drawings > 8 else names[: self.drawings]
        host = "https://sandbox.invalid/gallery"
        with (folder / "list.csv").open("w") as file:
            file.write("id,url\n")
            file.writelines(f"P{n:06},{host}/{names[n % len(names)]}?n={number}-{n}\n" for n in range(items))
        return "list.csv"


PLAIN = Way("plain")
WAYS = (
    PLAIN,
    Way("doubts retried", 0.4, parts={"api": {"on_in_doubt": {"retry": 1, "max_duplicates": 12}}}),
    Way("wait", 0.4, parts={"task": WAIT}),
    Way("deep", 0.15, pages=3, parts={"search": {"depth": 250}}),
    Way("deep V2, wait", 0.1, pages=2, parts={"search": {"endpoint": "P009-V2", "depth": 180}, "task": WAIT}),
    Way("views", 0.25, views=2, parts={"search": {"endpoint": "P061", "limit": 3}}),
    Way("details", 0.4, drawings=56, parts={"search": {"limit": 8}, "details": BEST}),
    Way("families, wait", 0.25, drawings=40, parts={"details": {**BEST, "family": True}, "task": WAIT}),
    Way("submit", 0.25, parts={"method": "submit", "search": {}, "task": {"country": COUNTRY}}),
    Way(
        "submit, details",
        0.2,
        drawings=40,
        parts={"method": "submit", "search": {}, "task": {"country": COUNTRY}, "details": BEST},
    ),
    Way(
        "deep views, details, wait",
        0.12,
        drawings=POOL,
        pages=2,
        views=3,
        parts={"search": {"endpoint": "P061", "depth": 200}, "details": BEST, "task": WAIT},
    ),
)


@dataclass
class Draw:
    """The ways of a campaign's jobs, each once before any comes again, in an order from the seed."""

    dice: random.Random
    ways: tuple[Way, ...] = WAYS
    left: list[Way] = field(default_factory=list)

    @classmethod
    def of(cls, seed: int, *names: str) -> Self:
        """Draw from all ways, or from those that are named."""
        return cls(random.Random(seed), tuple(way for way in WAYS if not names or way.name in names))

    def next(self) -> Way:
        if not self.left:
            self.left = list(self.ways)
            self.dice.shuffle(self.left)
        return self.left.pop()


@cache
def pool() -> Mapping[str, bytes]:
    """Make the files that are views: so many different pictures of a few products."""
    made = {}
    products = sorted(path for path in resource("products").iterdir() if path.suffix == ".jpg")[:6]
    for number in range(POOL):
        with Image.open(products[number % len(products)]) as image:
            small = image.convert("RGB").resize((96, 96))
        small.putpixel((number, number), (255, 0, number))
        file = BytesIO()
        small.save(file, "PNG")
        made[f"view-{number:02}.png"] = file.getvalue()
    return made

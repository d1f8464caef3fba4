"""A page read back: its data as the page's script takes it, from the page itself and from what lies beside it."""

import base64
import html
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

_BLOCK = re.compile(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', re.DOTALL)
_HANDED = re.compile(r'reportPart\("(\w+)",(\d+),(.*)\);', re.DOTALL)
IN_TASK, NEW, RISEN, COMPARED, AGAIN = 1, 2, 4, 8, 16
NOT_THEN, OTHERWISE, GONE = 4, 8, 16  # marks of a product


@dataclass
class Hit:
    """A hit as a page has it; a score in ten thousandths."""

    number: str
    score: int
    marks: int
    owner: str
    year: int
    legal: int
    rank: int
    before: int
    decided: int
    rest: dict[str, Any]


@dataclass
class Product:
    """A product as a page has it; `rest` is what comes with its part."""

    item: str
    name: str
    source: str
    labels: dict[str, str]
    status: str
    best: int
    hits_found: int
    total: int
    cause: int
    hits: list[Hit]
    marks: int
    best_new: int  # -1 without one, and on a page without a run before
    rest: dict[str, Any]


class Page:
    """A page in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        blocks = {name: json.loads(data) for name, data in _BLOCK.findall(self.text)}
        self.now, self.run, self.words = blocks["now"], blocks["run"], blocks["words"]
        self.parts: dict[int, dict[str, Any]] = {}
        self.large: dict[str, str] = {}
        self.index = blocks.get("index") or self._handed("index")[0]
        for name, data in blocks.items():
            if name.startswith("part-"):
                self.parts[int(name.removeprefix("part-"))] = data
        self.parts |= self._handed("part")
        for data in self._handed("large").values():
            self.large |= data
        self.small: dict[str, str] = {}
        for part in self.parts.values():
            self.small |= part["small"]
            self.large |= part.get("large", {})

    def _handed(self, kind: str) -> dict[int, Any]:
        found: dict[int, Any] = {}
        folder = self.path.parent / self.run["parts"]
        for file in sorted(folder.glob("*.js")):
            handed = _HANDED.fullmatch(file.read_text(encoding="utf-8"))
            assert handed, file
            if handed[1] == kind:
                found[int(handed[2])] = json.loads(handed[3])
        return found

    @property
    def products(self) -> list[Product]:
        """The products in the order of the page."""
        return [self._product(number, row) for number, row in enumerate(self.index["rows"])]

    def _product(self, number: int, row: list[Any]) -> Product:
        part = self.parts[number // self.run["chunk"]]
        rest = part["rest"][number % self.run["chunk"]]
        item, name, source, labels, status, best, hits_found, total, cause, hits, marks, *new = row
        named = dict(zip(labels[::2], labels[1::2], strict=True))
        return Product(
            item,
            name or item,
            source,
            {self.index["labels"][label][0]: self.index["labels"][label][1][value] for label, value in named.items()},
            self.index["statuses"][status],
            best,
            hits_found,
            total,
            cause,
            [self._hit(hit, part, rest.get("h", [])[place]) for place, hit in enumerate(hits)],
            marks,
            new[0] if new else -1,
            rest,
        )

    def _hit(self, cells: list[Any], part: dict[str, Any], rest: dict[str, Any]) -> Hit:
        usual = (-1, 0, 0, 0, -1, -1)[len(cells) - 3 :]
        number, score, marks, owner, year, legal, rank, before, decided = (*cells, *usual)
        texts = {key: part["texts"][rest[key] - 1] for key in ("t", "tc", "cc", "loc", "as") if key in rest}
        name = self.index["owners"][owner] if owner >= 0 else ""
        return Hit(number, score, marks, name, year, legal, rank, before, decided, {**rest, **texts})

    def product(self, item: str) -> Product:
        """Return a product by its id."""
        return next(one for one in self.products if one.item == item)

    def comparisons(self, product: Product) -> list[list[Any]]:
        """Return what the vendor writes of a product's hits: the place of the hit, and its texts."""
        number = next(number for number, row in enumerate(self.index["rows"]) if row[0] == product.item)
        texts = ["", *self.parts[number // self.run["chunk"]]["texts"]]
        return [[place, *(texts[text] for text in cells)] for place, *cells in product.rest.get("c", [])]

    def says(self, text: str) -> bool:
        """Return whether a text is anywhere in the page's data."""
        return text in json.dumps([self.run, self.index, self.parts], ensure_ascii=False) or text in html.unescape(
            self.text
        )

    def picture(self, number: int) -> bytes:
        """Return a small picture."""
        data = base64.b64decode(self.small[str(number)])
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            assert image.format == "WEBP"
        return data

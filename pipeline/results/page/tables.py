"""Texts that many products of a page share, each written once and named by its number."""

from pipeline.results.page.text import tidy

MAX_LABELS = 12


class Texts:
    """A table of texts in the order in which they came."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return the number of a text; -1 for an empty one."""
        return self._numbers.setdefault(text, len(self._numbers)) if text else -1

    def all(self) -> list[str]:
        """List the texts by their numbers."""
        return list(self._numbers)


class Labels:
    """The labels of a page's products: each label has a table of its values."""

    def __init__(self) -> None:
        self._names = Texts()
        self._values: list[Texts] = []

    def numbers(self, labels: dict[str, str]) -> list[int]:
        """Return the numbers of a product's labels: name and value in turns, at most twelve labels."""
        numbers: list[int] = []
        for key, value in list(labels.items())[:MAX_LABELS]:
            name = self._names.number(tidy(key, 40))
            if name < 0:
                continue
            if name == len(self._values):
                self._values.append(Texts())
            numbers += [name, self._values[name].number(tidy(value, 80) or "–")]
        return numbers

    def all(self) -> list[tuple[str, list[str]]]:
        """List the labels and their values by their numbers."""
        return [(name, values.all()) for name, values in zip(self._names.all(), self._values, strict=True)]

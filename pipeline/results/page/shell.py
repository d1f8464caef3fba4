"""The shell of a page: its head, the run as a whole, a table for browsers without scripts, and its own script."""

import base64
import hashlib
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pipeline.results.page.dictionary import in_language, pairs, words
from pipeline.results.page.entries import Entry
from pipeline.results.page.left_out_words import phrases_of
from pipeline.results.page.marks import marks, now_block
from pipeline.results.page.parts import BIG, CHUNK, Parts, block, encoded
from pipeline.results.page.product import best_of, name_of
from pipeline.results.page.steps import for_script, next_steps
from pipeline.results.page.text import file_link, period, tidy
from pipeline.results.page.view import RunView
from pipeline.results.score import ten_thousandths

if TYPE_CHECKING:
    from jinja2 import Template

STYLES = ("base", "top", "bar", "rows", "opened", "narrow", "print")
SCRIPTS = (
    "words",
    "data",
    "decisions",
    "state",
    "find",
    "make",
    "since",
    "top",
    "matrix",
    "bar",
    "causes",
    "rows",
    "opened",
    "vendor",
    "paper",
    "start",
)
WITHOUT_SCRIPT = 100  # products in the table for browsers that run no script


class Shell:
    """The shell of one page while it is written."""

    def __init__(self, view: RunView, *, products: int, parts: Parts) -> None:
        self._view, self._products, self._parts = view, products, parts
        self._first: list[dict[str, str]] = []

    def note(self, entry: Entry) -> None:
        """Take a product into the table for browsers without scripts, if it is one of the first."""
        if len(self._first) < WITHOUT_SCRIPT:
            score, number, owner = best_of(entry)
            status = words(self._view.lang)[f"status.{entry.record.status}"]
            shown = f"{score // 100 / 100:.2f}" if score >= 0 else ""
            best = {"score": shown, "number": number, "owner": owner}
            self._first.append({"item": name_of(entry.record), "status": status, **best})

    def head(self) -> bytes:
        """Return the page up to its data."""
        view = self._view
        return rendered(
            "head",
            lang=in_language(view.lang),
            policy=_policy(),
            marks=marks(view.counts, view.state),
            now=now_block(view.counts, view.state, view.as_of or view.finished_at),
            title=_title(view),
            style=joined("css", STYLES),
            view=view,
            period=period(view.started_at, view.finished_at),
            w=words(view.lang),
        )

    def data(self, *, first_task: str, first_awaited: str, unreadable: int, otherwise: int) -> Iterator[bytes]:
        """Yield the data of the run as a whole, and the table for browsers without scripts.

        `otherwise` counts the products that the run before searched otherwise.
        """
        steps = next_steps(self._view, first_task=first_task, first_awaited=first_awaited)
        yield rendered("without_script", rows=self._first, products=self._products, w=words(self._view.lang))
        run = {
            **self._of_run(otherwise),
            "steps": for_script(steps, confined=bool(self._view.client)),
            "unreadable": unreadable,
        }
        yield block("run", encoded(run))
        yield block("words", encoded(pairs()))

    def end(self) -> bytes:
        """Return the page's script, which everything before it is for."""
        index = f'<script src="{self._parts.place}index.js"></script>\n' if self._parts.split else ""
        return f"<script>{_script()}</script>\n{index}</body>\n</html>\n".encode()

    def _of_run(self, otherwise: int) -> dict[str, Any]:
        view = self._view
        phrases = phrases_of([tidy(phrase, 300) for phrase in view.not_looked_at], otherwise=otherwise)
        told = {
            "title": _title(view),
            "job": tidy(view.job, 128),
            "run": tidy(view.run, 200),
            "client": tidy(view.client, 80),
            "vendor": tidy(view.vendor, 200),
            "sandbox": view.sandbox,
            "rehearsal": view.rehearsal,
            "tool": tidy(view.tool, 40),
            "from": tidy(view.started_at, 40),
            "to": tidy(view.finished_at, 40),
            "asOf": tidy(view.as_of or view.finished_at, 40),
            "state": view.state,
            "search": tidy(view.search, 300),
            "limit": view.limit,
            "atLeast": ten_thousandths(view.at_least),
            "lang": in_language(view.lang),
            "links": view.links,
            "groupBy": list(view.group_by),
            "counts": view.counts,
            "products": self._products,
            "chunk": CHUNK,
            "big": BIG,
            "split": self._parts.split,
            "parts": self._parts.place,
            "large": self._parts.large,
            "notLookedAt": phrases,
            "since": _since(view),
            "notCompared": view.before.why_not,
        }
        if view.client:
            return told
        spent = {"calls": view.calls, "billed": tidy(view.billed, 200), "money": tidy(view.money, 200)}
        files_ = [(tidy(name, 200), file_link(name)) for name in view.files]
        report = {"exit": tidy(view.exit_reason, 1000), "files": files_, "folder": tidy(view.folder, 400)}
        return {**told, **spent, **report}


def rendered(name: str, **values: Any) -> bytes:
    """Return a template of the page's with its values; text of the vendor may hold what UTF-8 cannot say."""
    return template(name).render(**values).encode("utf-8", "replace")


@cache
def joined(kind: str, names: tuple[str, ...]) -> str:
    """Join files of a kind, without what only their readers need: indents, and lines that are comments."""
    lines = (line.strip() for name in names for line in _asset(f"{name}.{kind}").splitlines())
    text = "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))
    return text if kind == "js" else re.sub(r"(?<=[{};,:])\s+|\s+(?=[{}])", "", text)


def _since(view: RunView) -> dict[str, str] | None:
    """Tell the run before; a client's page names no run but its own."""
    if view.before.earlier is None:
        return None
    return {"name": "" if view.client else tidy(view.before.name, 200), "at": tidy(view.before.at, 40)}


def _title(view: RunView) -> str:
    return tidy(view.title or view.job, 128)


def _policy() -> str:
    """Return what the page may load: its own script, parts that lie beside it, pictures that are in its data."""
    digest = base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()
    return f"default-src 'none'; script-src 'sha256-{digest}' 'self'; style-src 'unsafe-inline'; img-src data:"


@lru_cache(maxsize=1)
def _script() -> str:
    return '"use strict";\n(() => {\n' + joined("js", SCRIPTS) + "})();\n"


def _asset(name: str) -> str:
    return files("pipeline.results.page").joinpath("assets", name).read_text(encoding="utf-8")


@lru_cache(maxsize=4)
def template(name: str) -> "Template":
    """Return a template of the page's; to compile it takes as long as a small page takes to write."""
    from jinja2 import Environment, StrictUndefined  # heavy, and most commands write no page

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset(f"{name}.html.j2"))

"""Help in Chinese: the same commands and options, their sentences translated, and wrapped by the width of letters."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.system.language import translated
from pipeline.system.widths import width as width_of

_FIRST_COLUMN = 30  # characters at most, before the words of an option begin on a line of their own
_WORD = re.compile(r"\s+|(?:[!-~]+|[^!-~\s])[,;:)\]\u3002\u3001]*")  # what stays together on a line
_KEYS = {"default": "\u9ed8\u8ba4", "required": "\u5fc5\u9700"}
_OF_AN_OPTION = re.compile(r"(default|required)(?=[:;\]])")


def speak(command: Any) -> None:
    """Put the help of a command, and of those within it, into Chinese."""
    context = command.context_class
    formatter = type("Formatter", (_Formatter, context.formatter_class), {})
    _speak(command, type("Context", (context,), {"formatter_class": formatter}))


def _speak(command: Any, context: type) -> None:
    command.context_class = context
    command.help = translated(command.help or "")
    command.short_help = command.help
    command.epilog = translated(command.epilog or "")
    for option in command.params:
        option.help = translated(option.help or "")
    for one in getattr(command, "commands", {}).values():
        _speak(one, context)


class _Formatter:
    """The part of a formatter of help that is not the same in Chinese."""

    width: int
    current_indent: int

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line that says how a command is typed."""
        super().write_usage(prog, args, translated("Usage: "))  # type: ignore[misc]

    def write_heading(self, heading: str) -> None:
        """Write a heading."""
        super().write_heading(translated(heading))  # type: ignore[misc]

    def write_text(self, text: str) -> None:
        """Write a paragraph."""
        for line in wrapped(translated(text), self.width - self.current_indent):
            self.write(f"{'':>{self.current_indent}}{line}\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = _FIRST_COLUMN, col_spacing: int = 2) -> None:
        """Write names with what is said of each."""
        width = min(max((width_of(name) for name, _ in rows), default=0), col_max) + col_spacing
        indent = " " * (self.current_indent + width)
        for name, text in rows:
            first, *rest = wrapped(_of_option(text), max(self.width - width - 2, 10)) or [""]
            fits = width_of(name) <= width - col_spacing
            between = " " * (width - width_of(name)) if fits else f"\n{indent}"
            self.write(f"{'':>{self.current_indent}}{name}{between if first else ''}{first}\n")
            for line in rest:
                self.write(f"{indent}{line}\n")

    def write(self, text: str) -> None:
        """Write a text as it is."""
        super().write(text)  # type: ignore[misc]


def wrapped(text: str, width: int) -> list[str]:
    """Part a text into lines of a width at which a Chinese letter takes two places."""
    return list(_lines(text, width))


def _lines(text: str, width: int) -> Iterator[str]:
    line = ""
    for word in _WORD.findall(text):
        if line.strip() and width_of(line + word.rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += word if line else word.lstrip()
    if line.strip():
        yield line.rstrip()


def _of_option(text: str) -> str:
    """Put what is said of an option into Chinese, with the default that stands behind it in brackets."""
    said, bracket, more = text.rpartition("  [")
    if not bracket:
        return translated(text)
    return f"{translated(said)}  [{_OF_AN_OPTION.sub(lambda found: _KEYS[found[1]], more)}"

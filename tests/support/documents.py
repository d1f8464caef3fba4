"""The documents as tests read them: their blocks of code, and the commands that they show."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.cli.main import command_line

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    """Return the blocks of a language in a document."""
    return [body for found, body in all_blocks(path.read_text(encoding="utf-8")) if found == language]


def all_blocks(text: str) -> list[tuple[str, str]]:
    """Return all blocks of a document, each with its language, without the indent of a list."""
    return [
        (language, re.sub(rf"^{indent}", "", body, flags=re.MULTILINE))
        for indent, language, body in _BLOCK.findall(text)
    ]


def commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each `pipeline` command in the shell blocks of a document."""
    for language, body in all_blocks(text):
        if language in ("sh", "text"):
            for line in body.replace("\\\n", " ").splitlines():
                if (found := re.match(r"(?:\$ |  )?pipeline (?=[a-z-])(.*)", line)) and "[OPTIONS]" not in line:
                    yield arguments(found[1])


def arguments(line: str) -> list[str]:
    """Split a command line as a shell does, up to what is no part of the command."""
    words = shlex.split(line, comments=True)
    ends = (place for place, word in enumerate(words) if word in ("|", "&&", ";", ">", "||") or word.startswith(">"))
    return words[: next(ends, len(words))]


def mentions(text: str) -> Iterator[list[str]]:
    """Yield the words of each `pipeline` command that stands in a sentence; placeholders may stand in it."""
    outside = _BLOCK.sub("", text)
    for said in re.findall(r"`pipeline ([a-z][^`]*)`", outside):
        yield re.split(r"[\s=|\[\]\\]+", said)


def unknown(words: list[str]) -> list[str]:
    """Return the command, and the options of a mentioned command, that the program does not have."""
    commands_: Any = command_line(chinese=False)
    with commands_.make_context("pipeline", ["-"], resilient_parsing=True) as context:
        command = commands_.get_command(context, words[0])
        if command is None:
            return words[:1]
        if hasattr(command, "list_commands"):  # a group: its commands are `cluster run` and the like
            command = command.get_command(context, words[1]) if len(words) > 1 else None
            if command is None:
                return words[:2]
        known = {name for one in command.get_params(context) for name in (*one.opts, *one.secondary_opts)}
        return [word for word in words[1:] if re.fullmatch(r"--?[a-z][a-z-]*", word) and word not in known]


def _command(commands_: Any, context: Any, words: list[str]) -> tuple[Any, list[str]]:
    """Find the command of a line, also in a group (`cluster check`); return it with the words from its name on."""
    command = commands_.get_command(context, words[0])
    if hasattr(command, "get_command") and len(words) > 1:
        return _command(command, context, words[1:])
    return command, words


def refusal(words: list[str]) -> str:
    """Return why the program's command line does not understand these arguments; "" if it does."""
    commands_: Any = command_line(chinese=False)
    with commands_.make_context("pipeline", ["-"], resilient_parsing=True) as context:
        command, words = _command(commands_, context, words) if words[0] != "--version" else (commands_, words)
        if command is None:
            return f"there is no command {words[0]}"
        try:
            command.make_context(words[0], words[1:], parent=context)
        except Exception as exc:  # of typer's own copy of click
            return getattr(exc, "message", "") or f"{type(exc).__name__} {exc}"
    return ""

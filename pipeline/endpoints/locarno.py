"""Locarno expressions: `(01-01 OR 01-02) NOT 03-01`, `14`, `06 AND NOT 06-03`.

A code is a class (`14`) or a class with its subclass (`14-03`). NOT binds tightest, then AND, then OR; `A NOT B` means
`A AND NOT B`, as the vendor writes it. An expression is kept in postfix order, so that nesting costs no recursion.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

_WORD = re.compile(r"\s*(?:(?P<code>[0-9]{2}(?:-[0-9]{2})?)(?![\w-])|(?P<op>AND|OR|NOT)\b|(?P<paren>[()]))")
_BINDS = {"OR": 1, "AND": 2, "NOT": 3}


class LocarnoError(ValueError):
    """A text that is no Locarno expression; the message says where it goes wrong."""


@dataclass(frozen=True, slots=True)
class Locarno:
    """A parsed expression; `postfix` holds codes and the words AND, OR, NOT after their operands."""

    postfix: tuple[str, ...]

    def matches(self, code: str) -> bool:
        """Return whether the expression covers a patent filed under `code`, such as `06-01`."""
        stack: list[bool] = []
        for word in self.postfix:
            if word == "NOT":
                stack.append(not stack.pop())
            elif word in _BINDS:
                right, left = stack.pop(), stack.pop()
                stack.append(left and right if word == "AND" else left or right)
            else:
                stack.append(code == word or code.startswith(f"{word}-"))
        return stack.pop()


@lru_cache(maxsize=256)
def parse_locarno(text: str) -> Locarno:
    """Read an expression. Raises LocarnoError for any other text."""
    output: list[str] = []
    waiting: list[str] = []
    want_code = True
    for position, word in _words(text):
        is_operand = word not in _BINDS and word != ")"
        if word == "NOT" and not want_code:
            _push("AND", output, waiting)
        elif (is_operand or word == "NOT") is not want_code:
            raise LocarnoError(f"{word!r} is not expected at character {position}")
        if word == ")":
            _close(output, waiting, position)
        elif word in _BINDS or word == "(":
            _push(word, output, waiting)
        else:
            output.append(word)
        want_code = word in _BINDS or word == "("
    if want_code:
        raise LocarnoError("a LOC code such as 06-01 is missing at the end")
    if "(" in waiting:
        raise LocarnoError("a parenthesis is not closed")
    return Locarno(tuple(output + waiting[::-1]))


def _words(text: str) -> list[tuple[int, str]]:
    words: list[tuple[int, str]] = []
    end = len(text.rstrip())
    position = 0
    while position < end:
        found = _WORD.match(text, position)
        if found is None:
            raise LocarnoError(f"{text[position:end].strip()[:20]!r} is not a LOC code, AND, OR, NOT or a parenthesis")
        words.append((found.start(found.lastgroup or 0) + 1, found.group().strip()))
        position = found.end()
    return words


def _push(operator: str, output: list[str], waiting: list[str]) -> None:
    # NOT and `(` come before their operand, so no waiting operator has all of its operands yet.
    if operator not in ("NOT", "("):
        while waiting and waiting[-1] != "(" and _BINDS[waiting[-1]] >= _BINDS[operator]:
            output.append(waiting.pop())
    waiting.append(operator)


def _close(output: list[str], waiting: list[str], position: int) -> None:
    while waiting and waiting[-1] != "(":
        output.append(waiting.pop())
    if not waiting:
        raise LocarnoError(f"')' at character {position} closes nothing")
    waiting.pop()

"""Faults as a command tells them on stderr: what is wrong, where, and a line to type."""

from typing import NamedTuple


class Told(NamedTuple):
    """One fault, or another line, of which only `error` is not empty."""

    error: str
    at: str = ""
    fix: str = ""


def faults_in(err: str) -> list[Told]:
    """Read what stderr says. Each fault begins with its error; what follows belongs to it."""
    found: list[Told] = []
    for line in err.splitlines():
        if line.startswith("  at: "):
            found[-1] = found[-1]._replace(at=line.removeprefix("  at: "))
        elif line.startswith("  fix: "):
            found[-1] = found[-1]._replace(fix=line.removeprefix("  fix: "))
        else:
            found.append(Told(line.removeprefix("error: ")))
    return found

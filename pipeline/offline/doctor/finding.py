"""A finding of the doctor: what was looked at, whether it is ready, and what to do."""

from enum import StrEnum

import msgspec

from pipeline.errors import PipelineError, SpecError
from pipeline.system.fault import Fault


class Verdict(StrEnum):
    """The verdict of a finding; only a failed one keeps a job from running well."""

    PASS = "pass"  # noqa: S105 - a word, no password
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    fix  a line that can be typed; "" where there is nothing to type
    """

    name: str
    verdict: Verdict
    text: str
    fix: str = ""


def passed(name: str, text: str) -> Finding:
    """Make the finding of what is ready."""
    return Finding(name, Verdict.PASS, text)


def warned(name: str, text: str, *, fix: str = "") -> Finding:
    """Make the finding of what a person should know."""
    return Finding(name, Verdict.WARN, text, fix)


def failed(name: str, text: str, *, fix: str = "") -> Finding:
    """Make the finding of what must be mended."""
    return Finding(name, Verdict.FAIL, text, fix)


def failures(name: str, error: PipelineError, *, most: int = 10) -> list[Finding]:
    """Make a finding of each line of an error."""
    lines = error.lines if isinstance(error, SpecError) else error.args[:1]
    found = [failure(name, line) for line in lines[:most]]
    more = [failed(name, f"and {len(lines) - most:,} more")] if len(lines) > most else []
    return [*found, *more]


def failure(name: str, line: object) -> Finding:
    """Make the finding of one line of an error."""
    if isinstance(line, Fault):
        many = f" ({line.times:,} like this)" if line.times > 1 else ""
        return failed(name, f"{line.where}: {line.what}{many}" if line.where else f"{line.what}{many}", fix=line.fix)
    return failed(name, str(line))

"""The section `notify` of a job: a program that tells somebody how an unattended run ended."""

import re
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from pipeline.endpoints.parameters import Strict
from pipeline.job.document import parse

Word = Annotated[str, Field(min_length=1)]


class NotifySpec(Strict):
    """A program that is started at the end of each run, with summary.json on its stdin."""

    command: Annotated[
        list[Word],
        Field(min_length=1, description="The program and its arguments, as [mail, -s, run, a@example.com]; no shell"),
    ]
    when: Literal["always", "problems"] = Field(
        default="always", description="problems: only when the exit code is not 0"
    )
    timeout_s: Annotated[int | float, Field(gt=0, le=600, description="It is ended after that time")] = 30


_SECTION = re.compile(rb"^notify:.*(?:\n(?:[ \t#].*|[ \t\r]*))*", re.MULTILINE)


def notify_in(raw: bytes) -> NotifySpec | None:
    """Read whom to tell out of a job file that is refused, however wrong the rest of it is; None where it says nobody.

    Where the file is no YAML, its lines from `notify:` on are read alone.
    """
    whole = parse(raw).data
    found = whole if isinstance(whole, dict) else None
    if found is None and (section := _SECTION.search(raw)):
        found = parse(section[0]).data
    try:
        return NotifySpec.model_validate(found["notify"]) if isinstance(found, dict) and "notify" in found else None
    except ValidationError:
        return None

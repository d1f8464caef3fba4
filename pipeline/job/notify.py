"""The section `notify` of a job: a program that tells somebody how an unattended run ended."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.endpoints.parameters import Strict

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

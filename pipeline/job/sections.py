"""The sections of a job around its search: uploads, tasks, details of hits, the place of results."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from pipeline.endpoints.parameters import Countries, Strict
from pipeline.job.checks import check_run_name


class UploadSpec(Strict):
    """Permission to upload local pictures."""

    public: bool = Field(default=False, description="Local pictures are uploaded to a public URL; say true to allow it")
    fit: bool = Field(
        default=False,
        description="Turn pictures upright, re-encode what is over 4,096 KB or no JPG or PNG; files stay as they are",
    )


class TaskSpec(Strict):
    """The task that is opened for the hits of a picture."""

    enabled: bool = True
    report_lang: Literal["cn", "en"] = "en"
    country: Countries | None = None
    max_hits: Annotated[int, Field(ge=1, le=100)] = 100
    report: Annotated[
        Literal["off", "wait", "later"],
        Field(description="Who reads the task's report within 8 hours: off = nobody, wait = the run, later = collect"),
    ] = "off"
    settle_s: Annotated[
        int | float,
        Field(ge=1, le=28_800, description="How long a task that says nothing of itself may take for its report"),
    ] = 600

    @field_validator("report", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML 1.1 reads a bare `off` as false


def _off_is_none(value: Any) -> Any:
    return None if value is False or value == "off" else value  # YAML 1.1 reads a bare `off` as false


class DetailsSpec(Strict):
    """Details of the hits that people will look at (D301): owner, dates, legal status. Billed per patent found."""

    top: Annotated[int, Field(ge=1, le=100, description="Of an item's hits the best so many")] = 5
    above: Annotated[int | float, Field(ge=0, le=1, description="And of them those that score at least this")] = 0.8
    family: bool = Field(default=False, description="Tell one design in several countries from several (P014)")


Details = Annotated[DetailsSpec | None, BeforeValidator(_off_is_none)]


class OutputSpec(Strict):
    """The place of the results, and how many hits they keep."""

    dir: Annotated[str, Field(min_length=1)] = "runs"
    run: Annotated[str, AfterValidator(check_run_name)] = "{name}"
    hits: Literal["all"] | Annotated[int, Field(ge=0, le=1100)] = "all"

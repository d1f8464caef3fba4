"""The `report` section of a job: what its page shows, and from which score on a hit is counted."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.endpoints.parameters import Strict

Label = Annotated[str, Field(min_length=1, max_length=40)]


class PicturesSpec(Strict):
    """The pictures that are kept in the run directory: the vendor's links to them die within hours."""

    keep: Annotated[int, Field(ge=0, le=20, description="Of each item's hits the best so many; 0 keeps none")] = 5
    side: Literal[160, 480] = Field(default=480, description="Pixels of the largest copies; each has one of 160, too")
    products: bool = Field(
        default=False, description="Also fetch the products that the job names by URL, from public hosts"
    )


class ReportSpec(Strict):
    """The page of a run, which people look at."""

    at_least: Annotated[
        int | float, Field(ge=0, le=1, description="The score from which on hits are counted and are to be decided")
    ] = 0.9
    title: Annotated[str, Field(max_length=128, description="Stands at the top of the page instead of `name`")] = ""
    client_label: Label = Field(
        default="client", description="The label that names a client, for the pages of one client (`--client`)"
    )
    group_by: Annotated[
        list[Label], Field(min_length=1, max_length=2, description="The labels of the page's table: rows, columns")
    ] = ["client", "market"]  # noqa: RUF012 - pydantic copies it
    links: bool = Field(default=False, description="Links that lead out of the page: to patents and to products")
    pictures: PicturesSpec = PicturesSpec()

"""The newer pair's submit: one paid call that searches a picture and opens an infringement task.

The vendor gives the pair the names of the older one (AI39-1 and AI39-2); here they are AI39-submit and AI39-report. It
has no idempotency key. Assumed, since the vendor's document does not say it: a task lives 8 hours, as AI39-1's do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import Field

from pipeline.endpoints.interface import Answer, Creation, Request, posting
from pipeline.endpoints.parameters import Day, LocCodes, Text, lacking
from pipeline.endpoints.patsnap.ai39_1 import read_task
from pipeline.endpoints.patsnap.similar_designs import Filters, Search
from pipeline.models import Hits, Kind, Task
from pipeline.paging import PAGE

NAME = "AI39-submit"


class SubmitFilters(Filters):
    """Filters of the search that a submit makes; its countries are those of the task."""

    PHRASES: ClassVar[Mapping[str, str]] = {
        "country": "patents outside {}",
        "loc_items": "designs outside Locarno {}",
        "main_field": "patents without {} in their texts, names, numbers and classes",
        "apply_start_time": "applications before {}",
    }

    apply_start_time: Day | None = None
    loc_items: LocCodes | None = Field(default=None, description="Locarno codes, any of which may be a hit's")
    main_field: Text | None = None


class SubmitSearch(Search):
    """The search that a submit makes by itself (`method: submit`): the vendor decides how many hits it returns."""

    endpoint: Literal["AI39-submit"]
    filters: SubmitFilters = SubmitFilters()
    limit: Annotated[int, lacking(NAME, "the vendor decides how many hits its report has"), Field(exclude=True)] = 0
    min_score: Annotated[float, lacking(NAME, "the vendor chooses the hits that it compares"), Field(exclude=True)] = (
        0.0
    )
    depth: Annotated[int, lacking(NAME, "it has no further pages"), Field(exclude=True)] = PAGE

    def asked_with(self, *, country: list[str] | None) -> dict[str, Any]:
        """List the parameters of its search, with the countries of the task, as the vendor's names and values."""
        return {**({"country": country} if country else {}), **self.filters.asked()}

    def pages_left(self, hits: Hits | None) -> int:
        """Count the searches that are still to be asked for: none, for a create makes its own."""
        return 0

    @cached_property
    def params(self) -> dict[str, Any]:
        """The parameters of every call beside the picture, the countries and the language."""
        return self.filters.asked()


@dataclass(frozen=True, slots=True)
class TaskSubmission:
    """The endpoint that opens tasks which search by themselves.

    lang     the language of the report: cn or en
    country  the authorities to search and compare with; at least one
    params   more parameters, as the vendor's names and values
    """

    lang: str
    country: list[str]
    params: Mapping[str, Any] = field(default_factory=dict)
    kind = Kind.CREATE

    def request(self, asked: Creation) -> Request:
        """Ask for a task for the picture at a URL; the vendor finds the hits itself."""
        body = msgspec.json.encode({"url": asked.url, "country": self.country, "lang": self.lang, **self.params})
        return posting(Kind.CREATE, "/ai/image-search/submit", body)

    def read(self, answer: Answer) -> Task:
        """Read the created task. Raises Refusal for anything less than a task id."""
        return read_task(answer)

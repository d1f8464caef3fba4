"""P009: search similar design patents, worldwide."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from pipeline.endpoints.interface import Request
from pipeline.endpoints.parameters import Day, Locarno, Text, joined_codes, was_run
from pipeline.endpoints.patsnap.similar_designs import Filters, Search
from pipeline.models import Kind

_WINDOWS = (("apply_start_time", "apply_end_time"), ("public_start_time", "public_end_time"))
LEGAL_STATUS = frozenset(
    ["1", "2", "3", "8", "11", "13", "14", "15", "16", "21", "22", "23", "24", "30", "222", "223", "224", "225"]
)


# The vendor's codes in words; 222 to 225 are stages of a PCT application, which it does not tell apart in words.
LEGAL_MEANINGS = {
    "1": "published",
    "2": "under examination",
    "3": "granted",
    "8": "given up to avoid a double grant",
    "11": "withdrawn",
    "12": "withdrawn (how is not known)",
    "13": "rejected",
    "14": "revoked",
    "15": "expired",
    "16": "lapsed for an unpaid fee",
    "17": "deemed withdrawn",
    "18": "withdrawn by its owner",
    "19": "deemed abandoned",
    "20": "abandoned by its owner",
    "21": "restored",
    "22": "ceased",
    "23": "revoked in part",
    "24": "discontinued",
    "25": "abandoned (how is not known)",
    "30": "abandoned",
    **{code: f"in PCT stage {code}" for code in ("222", "223", "224", "225")},
}


class P009Filters(Filters):
    """Filters of P009: worldwide designs, no country."""

    PHRASES: ClassVar[Mapping[str, str]] = {
        "loc": "designs outside Locarno {}",
        "assignees": "patents of anyone but {}",
        "legal_status": "patents whose legal status is not {}",
        "apply_start_time": "applications before {}",
        "apply_end_time": "applications after {}",
        "public_start_time": "publications before {}",
        "public_end_time": "publications after {}",
        "offset": "the first {} hits",
    }

    MEANINGS: ClassVar[Mapping[str, Mapping[str, str]]] = {"legal_status": LEGAL_MEANINGS}

    loc: Locarno | None = Field(default=None, description="Locarno codes joined by AND, OR, NOT")
    assignees: Text | None = None
    legal_status: Annotated[str | None, joined_codes(LEGAL_STATUS)] = None
    apply_start_time: Day | None = None
    apply_end_time: Day | None = None
    public_start_time: Day | None = None
    public_end_time: Day | None = None
    offset: Annotated[int, Field(ge=0, le=1000)] | None = None
    field: Literal["APD", "PBD", "ISD"] | None = None
    order: Literal["asc", "desc"] | None = None

    @model_validator(mode="after")
    def _windows_end_after_they_start(self, info: ValidationInfo) -> Self:
        for start, end in () if was_run(info) else _WINDOWS:
            first, last = getattr(self, start), getattr(self, end)
            if first is not None and last is not None and first > last:
                raise ValueError(f"search.filters.{end}: {last} is before {start} ({first}), so nothing can be found")
        return self

    def unfit_for_tasks(self) -> str | None:
        """Say why the first hits would not be the most similar ones; None when they are."""
        if self.offset:
            return (
                f"search.filters.offset: {self.offset} leaves out the {self.offset:,} most similar hits, and the task "
                "would be paid for the others; drop it, or set task.enabled: false"
            )
        if self.field not in (None, "SCORE"):
            return (
                f"search.filters.field: {self.field} sorts by date, so the first hits would not be the most similar "
                "ones; drop it, or set task.enabled: false"
            )
        if self.order == "asc":
            return "search.filters.order: asc puts the least similar hits first; drop it, or set task.enabled: false"
        return None


class P009Search(Search):
    """P009: similar design patents, worldwide."""

    PATH: ClassVar[str] = "/image-search/search"

    endpoint: Literal["P009"] = "P009"
    filters: P009Filters = P009Filters()

    _by_country: ClassVar[str] = "P009-V2 and P060 can filter by country."

    @property
    def by_score(self) -> bool:
        """True if the hits come by their scores, the highest first."""
        return self.filters.field is None and self.filters.order != "asc"

    def request(self, asked: str) -> Request:
        """Search the picture at a URL: everything goes into the query."""
        query = (("url", asked), *((key, text_of(value)) for key, value in self.params.items()))
        return Request(Kind.SEARCH, "GET", self.PATH, query=query)

    def warnings(self, *, task_country: list[str] | None) -> list[str]:
        """Warn that the hits are not limited to the countries of the task."""
        if not task_country:
            return []
        return [
            f"{self.endpoint} searches worldwide: its hits are not limited to task.country "
            f"({', '.join(task_country)}). {self._by_country}"
        ]


def text_of(value: Any) -> str:
    """Write a parameter into the query: lists are codes joined by commas there."""
    return ",".join(value) if isinstance(value, list) else str(value)

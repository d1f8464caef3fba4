"""P009 V2: P009's search of design patents, also by country and simple legal status.

Its answer names the search, and for 20 minutes further pages are asked for by that name, without another search of the
picture. Assumptions: the vendor does not say whether such a page is billed (each is counted as a search), nor how it
answers for a name that is too old. 68300004 is taken for that, and so is an empty page within the known total: then the
page is searched anew, with its offset.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pipeline.endpoints.interface import Request
from pipeline.endpoints.parameters import Countries, Text, joined_codes
from pipeline.endpoints.patsnap.p009 import P009Filters, P009Search, text_of
from pipeline.endpoints.patsnap.p060 import SIMPLE_LEGAL_STATUS, P060Filters
from pipeline.endpoints.patsnap.pages import NextPage
from pipeline.models import Hits, Kind
from pipeline.paging import PAGE, paging_of

SEARCH_ID_LIFE_S = 20 * 60
_MARGIN_S = 60  # a call may wait for its permit


class P009V2Filters(P009Filters):
    """Filters of P009 V2: those of P009, countries, simple legal status and words."""

    PHRASES: ClassVar[Mapping[str, str]] = {
        **P009Filters.PHRASES,
        **{key: P060Filters.PHRASES[key] for key in ("simple_legal_status", "country", "main_field")},
    }

    MEANINGS: ClassVar[Mapping[str, Mapping[str, str]]] = {
        **P009Filters.MEANINGS,
        "simple_legal_status": P060Filters.MEANINGS["simple_legal_status"],
    }

    country: Countries | None = None
    main_field: Text | None = None
    simple_legal_status: Annotated[str | None, joined_codes(SIMPLE_LEGAL_STATUS)] = None


class P009V2Search(P009Search):
    """P009 V2: similar design patents, worldwide or of some countries."""

    PATH: ClassVar[str] = "/image-search/search-id"
    PAGES: ClassVar[str] = "/image-search/results"
    _by_country: ClassVar[str] = "Write search.filters.country to limit them."

    endpoint: Literal["P009-V2"]  # type: ignore[assignment]  # the name is what tells them apart
    filters: P009V2Filters = P009V2Filters()

    @property
    def further(self) -> str:
        """The vendor's name of the endpoint that further pages are asked of, in a search that has some."""
        return "P009-V2-results" if self.depth > PAGE else ""

    def _page_at(self, offset: int, hits: Hits, *, now: float) -> NextPage:
        paging, page = paging_of(hits), self._only(offset)
        if paging is None or not paging.search_id or not 0 <= now - paging.named_at <= SEARCH_ID_LIFE_S - _MARGIN_S:
            return NextPage(self.question, offset, page.request)
        parts = ((key, text_of(value)) for key, value in page.params.items())
        by_name = Request(Kind.SEARCH, "GET", self.PAGES, query=(("search_id", paging.search_id), *parts))
        return NextPage(self.question, offset, lambda _: by_name, named=paging)

    def warnings(self, *, task_country: list[str] | None) -> list[str]:
        """Warn that the hits are not limited to the countries of the task, where they are not."""
        return [] if self.filters.country else super().warnings(task_country=task_country)

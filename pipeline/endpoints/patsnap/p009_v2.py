"""P009 V2: P009's search of design patents, also by country and simple legal status."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pipeline.endpoints.parameters import Countries, Text, joined_codes
from pipeline.endpoints.patsnap.p009 import P009Filters, P009Search
from pipeline.endpoints.patsnap.p060 import SIMPLE_LEGAL_STATUS, P060Filters


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
    """P009 V2: similar design patents, worldwide or of some countries. Its answer's `search_id` is not used."""

    PATH: ClassVar[str] = "/image-search/search-id"
    _by_country: ClassVar[str] = "Write search.filters.country to limit them."

    endpoint: Literal["P009-V2"]  # type: ignore[assignment]  # the name is what tells them apart
    filters: P009V2Filters = P009V2Filters()

    def warnings(self, *, task_country: list[str] | None) -> list[str]:
        """Warn that the hits are not limited to the countries of the task, where they are not."""
        return [] if self.filters.country else super().warnings(task_country=task_country)

"""P060: search similar designs or utility models, by country and legal status."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from pydantic import Field, model_validator

from pipeline.endpoints.interface import Request, posting
from pipeline.endpoints.parameters import Countries, Text, joined_codes
from pipeline.endpoints.patsnap.p009 import LEGAL_STATUS, P009Filters
from pipeline.endpoints.patsnap.similar_designs import Search
from pipeline.models import Kind
from pipeline.views import views_of

LEGAL_STATUS_P060 = LEGAL_STATUS | {"12", "17", "18", "19", "20", "25"}
SIMPLE_LEGAL_STATUS = frozenset(["0", "1", "2", "220", "221", "999"])


SIMPLE_MEANINGS = {
    "0": "inactive",
    "1": "active",
    "2": "pending",
    "220": "in PCT stage 220",
    "221": "in PCT stage 221",
    "999": "of unknown status",
}


class P060Filters(P009Filters):
    """Filters of P060: those of P009, countries, and how texts are returned."""

    PHRASES: ClassVar[Mapping[str, str]] = {
        **P009Filters.PHRASES,
        "simple_legal_status": "patents that are not {}",
        "country": "patents outside {}",
        "main_field": "patents without {} in their texts, names, numbers and classes",
        "query_text": "patents that the query {} does not find",
    }

    MEANINGS: ClassVar[Mapping[str, Mapping[str, str]]] = {
        **P009Filters.MEANINGS,
        "simple_legal_status": SIMPLE_MEANINGS,
    }

    country: Countries | None = None
    query_text: Text | None = Field(default=None, description="An Analytics query, for example TACD: chair")
    legal_status: Annotated[str | None, joined_codes(LEGAL_STATUS_P060)] = None
    main_field: Text | None = None
    simple_legal_status: Annotated[str | None, joined_codes(SIMPLE_LEGAL_STATUS)] = None
    field: Literal["SCORE", "APD", "PBD", "ISD"] | None = None  # type: ignore[assignment]  # P060 also names SCORE
    lang: Literal["original", "cn", "en"] | None = None
    stemming: Literal[0, 1] | None = None
    pre_filter: Literal[0, 1] | None = None
    is_https: Literal[0, 1] | None = Field(default=None, description="1 (https links) is sent by default")
    include_machine_translation: bool | None = None
    return_img_id: bool | None = None


class P060Search(Search):
    """P060: similar designs (patent_type D, model 1 or 2) or utility models (U, 3 or 4)."""

    PATH: ClassVar[str] = "/search/patent/image-single"

    endpoint: Literal["P060"]
    filters: P060Filters = P060Filters()
    model: Literal[1, 2, 3, 4] = 1
    patent_type: Literal["D", "U"] = "D"

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if (self.patent_type == "D") != (self.model in (1, 2)):
            raise ValueError("model 1 and 2 go with patent_type D (designs), 3 and 4 with U (utility models)")
        return self

    @cached_property
    def params(self) -> dict[str, Any]:
        """The parameters of every call beside the picture, as the vendor's names and values."""
        # By default the vendor's links are http, and neither its customers' pages nor ours show such pictures.
        asked = {"is_https": 1, **self.filters.asked()}
        return {"limit": self.most, **asked, "model": self.model, "patent_type": self.patent_type}

    @property
    def by_score(self) -> bool:
        """True if the hits come by their scores; model 1 puts those of the picture's class first."""
        return self.model != 1 and self.filters.field in (None, "SCORE") and self.filters.order != "asc"

    def request(self, asked: str) -> Request:
        """Search the picture at a URL: everything goes into the JSON body."""
        body = msgspec.json.encode({"url": views_of(asked)[0], **self.params})
        return posting(Kind.SEARCH, self.PATH, body)

    def warnings(self, *, task_country: list[str] | None) -> list[str]:
        """Warn of the one pair of filters that the vendor advises against."""
        if self.filters.loc is None or "CA" not in (self.filters.country or ()):
            return []
        return [
            "search.filters: the vendor advises against loc together with CA in country: Canada's classes are being "
            "revised, and designs would be missing"
        ]

    @classmethod
    def _other_patents(cls, params: Mapping[str, Any]) -> str:
        return "designs" if params.get("patent_type") == "U" else "utility models"


class P060BetaSearch(P060Search):
    """P060's beta: it first makes a drawing of the picture as patents show it, for designs of the US and the EU."""

    PATH: ClassVar[str] = "/search/patent/image-single/beta"

    endpoint: Literal["P060-beta"]  # type: ignore[assignment]  # the name is what tells them apart

"""P061: search by several views of one product. With model 1 the first view decides the class, so their order matters.

It takes 2 to 4 views, all different. An item with one picture is searched with P060 and the same parameters.
"""

from functools import cached_property
from typing import ClassVar, Literal

import msgspec

from pipeline.endpoints.interface import Request, posting
from pipeline.endpoints.patsnap.p060 import P060Search
from pipeline.endpoints.patsnap.similar_designs import Search
from pipeline.models import Hits, Kind
from pipeline.views import distinct_views


class P061Search(P060Search):
    """P061: similar designs or utility models, by several views of one product."""

    PATH: ClassVar[str] = "/search/patent/image-multiple"
    TAKES_VIEWS: ClassVar[bool] = True

    endpoint: Literal["P061"]  # type: ignore[assignment]  # the name is what tells them apart

    def request(self, asked: str) -> Request:
        """Search the views at their URLs: everything goes into the JSON body."""
        body = msgspec.json.encode({"urls": distinct_views(asked), **self.params})
        return posting(Kind.SEARCH, self.PATH, body)

    def of_picture(self, asked: str) -> Search:
        """Return the search for what is asked: for a single picture P060, with the same parameters."""
        return self if len(distinct_views(asked)) > 1 else self._single

    def pages_left(self, hits: Hits | None) -> int:
        """Count the pages that are still to be asked for, at most; `hits` are those that are paid."""
        single = hits is not None and hits.endpoint == self._single.endpoint
        return self._single.pages_left(hits) if single else super().pages_left(hits)

    @cached_property
    def _single(self) -> P060Search:
        shared = {name: getattr(self, name) for name in P060Search.model_fields if name != "endpoint"}
        return P060Search(endpoint="P060", **shared)

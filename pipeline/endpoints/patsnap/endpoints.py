"""The vendor's endpoints that a job can use. A new search is one module beside this one, and one entry in SEARCHES."""

import functools
import operator
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import Discriminator, Tag

from pipeline.endpoints.interface import Endpoints
from pipeline.endpoints.patsnap.ai39_1 import TaskCreation
from pipeline.endpoints.patsnap.p009 import P009Search
from pipeline.endpoints.patsnap.p010 import PictureUpload
from pipeline.endpoints.patsnap.p060 import P060Search
from pipeline.endpoints.patsnap.similar_designs import Search

SEARCHES: tuple[type[Search], ...] = (P009Search, P060Search)  # the first is the default
ANNOUNCED = ("P061",)  # searches that a later version brings


def name_of(search: type[Search]) -> str:
    """Return the name of a search endpoint in jobs and records."""
    name: str = get_args(search.model_fields["endpoint"].annotation)[0]
    return name


def searches_taking(key: str) -> list[str]:
    """List the search endpoints whose section has a key, in itself or in its filters."""
    return [name_of(search) for search in SEARCHES if key in _keys_of(search)]


def endpoints_for(search: Search, *, report_lang: str, country: list[str] | None) -> Endpoints:
    """Put together the endpoints that a run uses."""
    return Endpoints(PictureUpload(), search, TaskCreation(report_lang, country))


def _keys_of(search: type[Search]) -> set[str]:
    filters: Any = search.model_fields["filters"].annotation
    return {*search.model_fields, *filters.model_fields}


def _endpoint(section: Any) -> Any:
    """Tell the union which endpoint a section names."""
    default = name_of(SEARCHES[0])
    return section.get("endpoint", default) if isinstance(section, dict) else getattr(section, "endpoint", default)


if TYPE_CHECKING:
    SearchSpec = Search
else:
    _TAGGED = [Annotated[search, Tag(name_of(search))] for search in SEARCHES]
    SearchSpec = Annotated[functools.reduce(operator.or_, _TAGGED), Discriminator(_endpoint)]

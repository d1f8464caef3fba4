"""The vendor's endpoints that a job can use. A new search is one module beside this one, and one entry in SEARCHES."""

import functools
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import Discriminator, Tag

from pipeline.endpoints.interface import Endpoints
from pipeline.endpoints.patsnap.ai39_1 import TaskCreation
from pipeline.endpoints.patsnap.ai39_2 import ReportQuery
from pipeline.endpoints.patsnap.p009 import P009Search
from pipeline.endpoints.patsnap.p009_v2 import P009V2Search
from pipeline.endpoints.patsnap.p010 import PictureUpload
from pipeline.endpoints.patsnap.p060 import P060BetaSearch, P060Search
from pipeline.endpoints.patsnap.p061 import P061Search
from pipeline.endpoints.patsnap.similar_designs import Search
from pipeline.models import Kind
from pipeline.system.wording import enumerated

# The first is the default.
SEARCHES: tuple[type[Search], ...] = (P009Search, P009V2Search, P060Search, P060BetaSearch, P061Search)


def name_of(search: type[Search]) -> str:
    """Return the name of a search endpoint in jobs and records."""
    name: str = get_args(search.model_fields["endpoint"].annotation)[0]
    return name


def searches_taking(key: str) -> list[str]:
    """List the search endpoints whose section has a key, in itself or in its filters."""
    return [name_of(search) for search in SEARCHES if key in _keys_of(search)]


def left_out_by(endpoint: str, params: Mapping[str, Any]) -> list[str]:
    """List what a search with these parameters left out of sight; [] for an endpoint of another version."""
    return next((search.left_out_by(params) for search in SEARCHES if name_of(search) == endpoint), [])


def endpoints_for(search: Search, *, report_lang: str, country: list[str] | None) -> Endpoints:
    """Put together the endpoints that a run uses."""
    create = TaskCreation(report_lang, country)
    return Endpoints(
        PictureUpload(), search, create, ReportQuery(), names=names_for(search), otherwise=_otherwise(search)
    )


def names_for(search: Search) -> dict[Kind, str]:
    """Name the endpoint that each kind of call uses."""
    return {Kind.UPLOAD: "P010", Kind.SEARCH: search.endpoint, Kind.CREATE: "AI39-1", Kind.QUERY: "AI39-2"}


def _otherwise(search: Search) -> dict[Kind, str]:
    """Say for each kind of call what does the same job: an account has a permission for each endpoint."""
    alike = [other for other in reversed(SEARCHES) if not other.TAKES_VIEWS]
    others = [name_of(other) for other in alike if name_of(other) != search.endpoint]
    single = ""
    if search.TAKES_VIEWS:
        single = f"{search.endpoint} is for items with views and P060 for the others of such a job; without views, "
    go_on = "in the job file, and run it with --accept-changes"  # a run directory refuses to be asked something else
    return {
        Kind.SEARCH: (
            f"{single}{enumerated(others)} do the same job as {search.endpoint}, each with a permission of its own: "
            f"write `search: {{endpoint: {others[0]}}}` {go_on}, or ask the vendor for {search.endpoint}"
        ),
        Kind.UPLOAD: "it is P010, which takes local pictures: list them by `url`, or ask the vendor for P010",
        Kind.CREATE: (
            "it is AI39-1, which alone opens tasks: ask the vendor for it, or, to search alone, write "
            f"`task: {{enabled: false}}` {go_on}"
        ),
    }


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

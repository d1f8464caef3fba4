"""The vendor's endpoints that a job can use. A new search is one module beside this one, and one entry in SEARCHES."""

import functools
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import Discriminator, Tag

from pipeline.endpoints.interface import Endpoints
from pipeline.endpoints.patsnap.ai39_1 import TaskCreation
from pipeline.endpoints.patsnap.ai39_2 import ReportQuery
from pipeline.endpoints.patsnap.ai39_report import WholeReportQuery
from pipeline.endpoints.patsnap.ai39_submit import NAME as SUBMIT
from pipeline.endpoints.patsnap.ai39_submit import SubmitSearch, TaskSubmission
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
    """List the searches, but that of a submit, whose section has a key, in itself or in its filters."""
    return [name_of(search) for search in SEARCHES if key in _keys_of(search)]


def left_out_by(endpoint: str, params: Mapping[str, Any]) -> list[str]:
    """List what a search with these parameters left out of sight; [] for an endpoint of another version."""
    searches: tuple[type[Search], ...] = (*SEARCHES, SubmitSearch)
    return next((search.left_out_by(params) for search in searches if name_of(search) == endpoint), [])


def endpoints_for(search: Search, *, report_lang: str, country: list[str] | None) -> Endpoints:
    """Put together the endpoints that a run uses."""
    names, otherwise = names_for(search), _otherwise(search)
    if isinstance(search, SubmitSearch):
        submit = TaskSubmission(report_lang, country or [], search.params)
        query = WholeReportQuery(search.endpoint, search.asked_with(country=country))
        return Endpoints(PictureUpload(), search, submit, query, names=names, otherwise=otherwise)
    create = TaskCreation(report_lang, country)
    return Endpoints(PictureUpload(), search, create, ReportQuery(), names=names, otherwise=otherwise)


def names_for(search: Search) -> dict[Kind, str]:
    """Name the endpoint that each kind of call uses."""
    if isinstance(search, SubmitSearch):
        return {Kind.UPLOAD: "P010", Kind.CREATE: search.endpoint, Kind.QUERY: "AI39-report"}
    return {Kind.UPLOAD: "P010", Kind.SEARCH: search.endpoint, Kind.CREATE: "AI39-1", Kind.QUERY: "AI39-2"}


def _otherwise(search: Search) -> dict[Kind, str]:
    """Say for each kind of call what does the same job: an account has a permission for each endpoint."""
    go_on = "in the job file, and run it with --accept-changes"  # a run directory refuses to be asked something else
    upload = "it is P010, which takes local pictures: list them by `url`, or ask the vendor for P010"
    if isinstance(search, SubmitSearch):
        names = enumerated([name_of(other) for other in SEARCHES], "or")
        create = (
            f"a search ({names}) and AI39-1 do the same job as {search.endpoint}, each with a permission of its own: "
            f"write `method: search-then-task` {go_on}, or ask the vendor for {search.endpoint}"
        )
        query = "Ask the vendor for AI39-report before they expire"
        return {Kind.UPLOAD: upload, Kind.CREATE: create, Kind.QUERY: query}
    of_models = _of_utility_models(search)
    alike = [
        one for one in reversed(SEARCHES) if not one.TAKES_VIEWS and (not of_models or "model" in one.model_fields)
    ]
    others = [name_of(other) for other in alike if name_of(other) != search.endpoint]
    asked = f"endpoint: {others[0]}{of_models}"
    single = ""
    if search.TAKES_VIEWS:
        single = f"{search.endpoint} is for items with views and P060 for the others of such a job; without views, "
    pair = f"{SUBMIT} does both in one call: write `method: submit`, with the authorities in `task.country`,"
    return {
        Kind.SEARCH: (
            f"{single}{enumerated(others)} can do the same job as {search.endpoint}, each with a permission of its own"
            f": write `search: {{{asked}}}` {go_on}, or ask the vendor for {search.endpoint}. The vendor's "
            f"newer {pair} if the account has that one alone"
        ),
        Kind.UPLOAD: upload,
        Kind.CREATE: (
            f"it is AI39-1, which opens tasks for hits of a search. The vendor's newer {pair} {go_on}; or ask the "
            f"vendor for AI39-1; or, to search alone, write `task: {{enabled: false}}` {go_on}"
        ),
        Kind.QUERY: (
            "Ask the vendor for AI39-2 before they expire; for other items the vendor's newer pair, AI39-submit and "
            "AI39-report, searches and brings the report as well: `method: submit`"
        ),
    }


def _of_utility_models(search: Search) -> str:
    """Write what else another endpoint must be asked where utility models are searched; "" where designs are."""
    model = getattr(search, "model", 1)
    return f", patent_type: U, model: {model}" if getattr(search, "patent_type", "D") == "U" else ""


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
    _TAGGED = [Annotated[search, Tag(name_of(search))] for search in (*SEARCHES, SubmitSearch)]
    SearchSpec = Annotated[functools.reduce(operator.or_, _TAGGED), Discriminator(_endpoint)]

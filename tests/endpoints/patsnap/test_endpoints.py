"""A new search is one new file and one line: tried on a copy of the program that has a third endpoint."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline.endpoints.patsnap.endpoints import SEARCHES, endpoints_for, name_of, searches_taking
from pipeline.endpoints.patsnap.p060 import P060Search
from pipeline.models import Kind
from tests.support.processes import completed, python

MODULE = """
from typing import Literal

from pydantic import Field

from pipeline.endpoints.interface import Request
from pipeline.endpoints.patsnap.similar_designs import Filters, Search
from pipeline.models import Kind


class P999Filters(Filters):
    PHRASES = {"shape": "products that are not {}"}

    shape: Literal["round", "square"] | None = None


class P999Search(Search):
    endpoint: Literal["P999"]
    filters: P999Filters = P999Filters()
    angle: int = Field(default=0, ge=0, le=359)

    @property
    def params(self):
        return {"limit": self.limit, **self.filters.asked(), "angle": self.angle}

    def request(self, asked):
        return Request(Kind.SEARCH, "GET", "/search/by-shape", query=(("url", asked), *self.params.items()))
"""
JOB = """\
version: 1
name: third
images:
  - url: https://cdn.example/1.jpg
search: {endpoint: P999, limit: 7, angle: 90, filters: {shape: round}}
api: {base_url: "http://127.0.0.1:9"}
"""


# Runs in the copy: what the program says of a few `search` sections, its JSON Schema, one call.
SCRIPT = """
import json, sys
from pathlib import Path
from pipeline.endpoints.interface import Answer
from pipeline.errors import SpecError
from pipeline.job.load import load_job
from pipeline.job.outlook import not_looked_at
from pipeline.job.schema import json_schema

def faults(search):
    lines = [line for line in Path("job.yaml").read_text().splitlines() if not line.startswith("search")]
    Path("other.yaml").write_text("\\n".join([*lines, f"search: {search}"]))
    try:
        load_job(Path("other.yaml"))
    except SpecError as error:
        return str(error)

job = load_job(Path("job.yaml"))
request = job.search.request("a-picture")
hits = job.search.read(Answer(200, b'{"data":{"patent_messages":[]},"status":true}', "id", 0.0))
found = {
    "faults": {search: faults(search) for search in json.loads(sys.argv[1])},
    "schema": json_schema(),
    "not_looked_at": not_looked_at(job),
    "request": [request.path, dict(request.query)],
    "hits": [hits.endpoint, hits.params],
}
print(json.dumps(found))
"""
FAULTS = {
    "{endpoint: P998}": "allowed: P009, P009-V2, P060, P060-beta, P061, P999",
    "{endpoint: P999, angel: 90}": "did you mean 'angle'?",
    "{endpoint: P999, filters: {shap: round}}": "did you mean 'shape'?",
    "{endpoint: P999, filters: {country: [US]}}": "endpoint P009-V2, P060, P060-beta and P061; P999 does not",
    "{angle: 90}": "angle belongs to endpoint P999; P009 does not take it",
    "{endpoint: P999, angle: 360}": "must be less than or equal to 359",
}
PARAMS = {"limit": 7, "shape": "round", "angle": 90}


@pytest.fixture(scope="module")
def third(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Make a copy of the program with one file more and one entry more in SEARCHES; return what it says."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(Path(pipeline.__file__).parent, root / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    vendor = root / "pipeline/endpoints/patsnap"
    (vendor / "p999.py").write_text(MODULE)
    text = (vendor / "endpoints.py").read_text()
    for old, new in (
        ("P060BetaSearch, P061Search)", "P060BetaSearch, P061Search, P999Search)"),
        ("\nSEARCHES", "\nfrom pipeline.endpoints.patsnap.p999 import P999Search\n\nSEARCHES"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (vendor / "endpoints.py").write_text(text)
    (root / "job.yaml").write_text(JOB)
    done = completed(python(SCRIPT, json.dumps(list(FAULTS))), cwd=root, env={"PATH": os.defpath})
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("search", FAULTS)
def test_the_messages_about_a_job_know_a_new_search(third: dict[str, Any], search: str) -> None:
    assert FAULTS[search] in third["faults"][search]


def test_editors_are_offered_a_new_search(third: dict[str, Any]) -> None:
    schema = third["schema"]
    names = [branch["$ref"].rsplit("/", 1)[-1] for branch in schema["properties"]["search"]["oneOf"]]
    assert names == [
        "P009Search", "P009V2Search", "P060Search", "P060BetaSearch", "P061Search", "P999Search", "SubmitSearch",
    ]  # fmt: skip
    assert schema["$defs"]["P999Search"]["properties"]["angle"]["maximum"] == 359


def test_a_new_search_says_what_it_leaves_out_of_sight(third: dict[str, Any]) -> None:
    phrases = ["products that are not round", "utility models", "hits beyond the first 7"]
    assert third["not_looked_at"] == phrases


def test_a_new_search_is_asked_and_named_in_the_record(third: dict[str, Any]) -> None:
    assert third["request"] == ["/search/by-shape", {"url": "a-picture", **PARAMS}]
    assert third["hits"] == ["P999", PARAMS]


def test_each_search_has_a_name_of_its_own() -> None:
    names = [name_of(search) for search in SEARCHES]
    assert names == ["P009", "P009-V2", "P060", "P060-beta", "P061"]


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("limit", ["P009", "P009-V2", "P060", "P060-beta", "P061"]),
        ("loc", ["P009", "P009-V2", "P060", "P060-beta", "P061"]),
        ("model", ["P060", "P060-beta", "P061"]),
        ("country", ["P009-V2", "P060", "P060-beta", "P061"]),
        ("frob", []),
    ],
)
def test_a_key_is_known_to_the_searches_that_take_it(key: str, names: list[str]) -> None:
    assert searches_taking(key) == names


def test_an_account_that_may_not_search_utility_models_so_is_told_of_no_search_for_designs() -> None:
    search = P060Search(endpoint="P060", patent_type="U", model=3)
    advised = endpoints_for(search, report_lang="en", country=None).otherwise[Kind.SEARCH]
    assert "write `search: {endpoint: P060-beta, patent_type: U, model: 3}`" in advised
    assert "P009" not in advised

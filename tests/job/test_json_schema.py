"""The JSON Schema that editors complete from: it fits every good job, and offers nothing that is always refused."""

from typing import Any

import pytest

from pipeline.job.schema import json_schema
from tests.support.job_files import GOOD, MINIMAL, P060, WHOLE


def test_the_schema_for_editors_names_every_part_of_a_job() -> None:
    assert list(json_schema()["properties"]) == [
        "version",
        "name",
        "root",
        "method",
        "images",
        "upload",
        "search",
        "task",
        "details",
        "api",
        "output",
        "report",
        "cluster",
        "notify",
        "prices",
        "currency",
    ]


def fits(value: Any, schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Return whether a value fits a JSON Schema: the part of the standard that our schema uses."""
    if "$ref" in schema:
        return fits(value, whole["$defs"][schema["$ref"].rsplit("/", 1)[-1]], whole)
    if branches := schema.get("anyOf"):
        return any(fits(value, branch, whole) for branch in branches)
    if branches := schema.get("oneOf"):
        return sum(fits(value, branch, whole) for branch in branches) == 1
    if "const" in schema:
        return bool(value == schema["const"])
    if "enum" in schema:
        return value in schema["enum"]
    match schema.get("type"):
        case "object":
            named = schema.get("properties", {})
            rest = schema.get("additionalProperties", True)
            return (
                isinstance(value, dict)
                and set(schema.get("required", [])) <= set(value)
                and all(
                    fits(inner, named[key], whole)
                    if key in named
                    else rest is not False and (rest is True or fits(inner, rest, whole))
                    for key, inner in value.items()
                )
            )
        case "array":
            return isinstance(value, list) and all(fits(inner, schema.get("items", {}), whole) for inner in value)
        case "integer":
            low, high = schema.get("minimum", value), schema.get("maximum", value)
            return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case None:
            return True
    raise AssertionError(schema)


def plain(text: str) -> Any:
    import yaml

    data = yaml.safe_load(text)
    if data.get("task", {}).get("report") is False:
        data["task"]["report"] = "off"  # what editors, which read YAML 1.2, make of a bare off
    return data


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(MINIMAL, id="minimal"),
        pytest.param(WHOLE.replace(", fit: false", ""), id="whole"),
        pytest.param(P060 + "  filters: {country: [US], stemming: 1}\n", id="P060"),
        *(pytest.param(f"{MINIMAL}{extra}\n", id=name) for name, extra in GOOD),
    ],
)
def test_the_json_schema_accepts_the_structure_of_good_jobs(text: str) -> None:
    schema = json_schema()
    assert fits(plain(text), schema, schema)


def test_the_defaults_that_editors_fill_in_are_themselves_allowed() -> None:
    schema = json_schema()
    for name, section in schema["properties"].items():
        assert "default" not in section or fits(section["default"], section, schema), name


def test_editors_offer_every_way_to_read_reports() -> None:
    assert json_schema()["$defs"]["TaskSpec"]["properties"]["report"]["enum"] == ["off", "wait", "later"]


@pytest.mark.parametrize(
    "extra",
    ["serach: {}", "search: {filter: {}}", "task: {max_hits: 101}", "api: {qps: fast}", "search: {endpoint: P008}"],
)
def test_the_json_schema_refuses_wrong_keys_and_kinds(extra: str) -> None:
    schema = json_schema()
    assert not fits(plain(f"{MINIMAL}{extra}\n"), schema, schema)

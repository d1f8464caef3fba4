"""Recorded answers, which the tests of the client read."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.sandbox.envelope import CODE_TEXTS
from tests.support.jobs import sandbox_cache
from tests.support.sandbox_samples import SAMPLES, WRITTEN, record

API = SAMPLES / "api"


def shape(value: Any) -> Any:
    """Replace each value by the name of its type; of a list the first member stands for all."""
    if isinstance(value, dict):
        return {key: shape(member) for key, member in value.items()}
    if isinstance(value, list):
        return [shape(member) for member in value[:1]]
    return type(value).__name__


@pytest.mark.proofs
@pytest.mark.anyio
async def test_recorded_successes_have_the_shape_of_todays_answers(tmp_path: Path) -> None:
    for name, body in (await record(tmp_path, cache=sandbox_cache())).items():
        assert shape(json.loads((API / name).read_bytes())) == shape(json.loads(body)), name


def test_written_failures_lie_where_the_clients_tests_look() -> None:
    assert {name: (API / name).read_bytes() for name in WRITTEN} == WRITTEN


def test_every_error_code_of_the_contract_has_a_sample() -> None:
    for code in CODE_TEXTS:
        answer = json.loads((API / f"error_{code}" / "200.json").read_bytes())
        assert (answer["status"], answer["error_code"]) == (False, code)

"""Whatever stands in a job file, the answer is a job or a SpecError with printable lines: never a crash."""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import SpecError
from pipeline.spec import JobSpec, load_job
from pipeline.spec.filters import P060Filters
from pipeline.spec.model import ApiSpec, BudgetSpec, ImageEntry, P060Search, QpsSpec, TaskSpec

from .conftest import MINIMAL

KEYS = st.sampled_from(
    sorted(
        {
            *JobSpec.model_fields,
            *ImageEntry.model_fields,
            *P060Search.model_fields,
            *P060Filters.model_fields,
            *TaskSpec.model_fields,
            *ApiSpec.model_fields,
            *QpsSpec.model_fields,
            *BudgetSpec.model_fields,
            *("public", "fit", "retry", "max_duplicates", "dir", "run", "hits", "token", "each", "all"),
        }
    )
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**70),
    st.floats(),
    st.dates(),
    st.text(max_size=12),
    st.sampled_from(["P009", "P060", "P061", "sandbox", "https://h.example/a", "a.csv", "*.jpg", "hold", "US", "off"]),
)
TREES = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=6), inner, max_size=5),
    max_leaves=25,
)
MAPPINGS = st.dictionaries(KEYS, TREES, max_size=8)
PIECES = st.lists(
    st.sampled_from([*"[]{}:,-?&*!|>%@`#'\"\n \t", "<<: ", "!!int ", "&a ", "*a", "0x", "1:2", "---\n", "name: ", "é"]),
    max_size=40,
).map("".join)


def answer(raw: bytes, overrides: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.yaml"
        file.write_bytes(raw)
        with suppress(SpecError):
            assert isinstance(load_job(file, overrides=overrides), JobSpec)
            return
        with pytest.raises(SpecError) as refusal:
            load_job(file, overrides=overrides)
        assert refusal.value.lines
        assert all(line.isprintable() for line in refusal.value.lines), refusal.value.lines


SETTINGS = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(MAPPINGS, st.booleans())
def test_any_tree_of_our_keys_is_a_job_or_a_spec_error(tree: dict[str, object], complete: bool) -> None:
    whole = yaml.safe_load(MINIMAL) | tree if complete else tree
    answer(yaml.safe_dump(whole, allow_unicode=True).encode("utf-8", "replace"), [])


@SETTINGS
@given(st.one_of(PIECES.map(lambda text: text.encode()), PIECES.map(lambda t: (MINIMAL + t).encode()), st.binary()))
def test_any_text_or_bytes_are_a_job_or_a_spec_error(raw: bytes) -> None:
    answer(raw, [])


@SETTINGS
@given(st.lists(st.builds("{}={}".format, st.lists(KEYS, max_size=3).map(".".join), PIECES | st.text()), max_size=3))
def test_any_override_is_taken_or_a_spec_error(overrides: list[str]) -> None:
    answer(MINIMAL.encode(), overrides)

"""T12: any job file becomes a job or a SpecError with printable lines: never a crash, never a long wait."""

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import strategies as st

from pipeline.endpoints.patsnap.p060 import P060Filters, P060Search
from pipeline.errors import SpecError
from pipeline.job.api import ApiSpec, BudgetSpec, QpsSpec
from pipeline.job.images import ImageEntry
from pipeline.job.load import load_job
from pipeline.job.schema import JobSpec
from pipeline.job.sections import TaskSpec
from tests.support.fuzzing import fuzzed
from tests.support.job_files import MINIMAL
from tests.support.processor import million_steps_s

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


# The processor's time for one file, in that of a million steps of Python; tests/threats/test_job_files.py caps memory.
MILLION_STEPS = 60


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "job.yaml"


def assert_job_or_spec_error(file: Path, raw: bytes, overrides: list[str]) -> None:
    file.write_bytes(raw)
    before = time.process_time()
    try:
        assert isinstance(load_job(file, overrides=overrides), JobSpec)
    except SpecError as refusal:
        assert refusal.lines  # noqa: PT017 - either answer is right
        assert all(line.isprintable() for line in refusal.lines), refusal.lines  # noqa: PT017
    assert time.process_time() - before < MILLION_STEPS * million_steps_s()


@fuzzed(MAPPINGS, st.booleans(), short=10, long=500)
def test_any_tree_of_our_keys_is_a_job_or_a_spec_error(file: Path, tree: dict[str, object], complete: bool) -> None:
    whole = yaml.safe_load(MINIMAL) | tree if complete else tree
    dumped = yaml.dump(whole, Dumper=yaml.CSafeDumper, allow_unicode=True)
    assert_job_or_spec_error(file, dumped.encode("utf-8", "replace"), [])


@fuzzed(
    st.one_of(PIECES.map(lambda text: text.encode()), PIECES.map(lambda t: (MINIMAL + t).encode()), st.binary()),
    short=350,
    long=3600,
)
def test_any_text_or_bytes_are_a_job_or_a_spec_error(file: Path, raw: bytes) -> None:
    assert_job_or_spec_error(file, raw, [])


@fuzzed(
    st.lists(st.builds("{}={}".format, st.lists(KEYS, max_size=3).map(".".join), PIECES | st.text()), max_size=3),
    short=90,
    long=900,
)
def test_any_override_is_taken_or_a_spec_error(file: Path, overrides: list[str]) -> None:
    assert_job_or_spec_error(file, MINIMAL.encode(), overrides)

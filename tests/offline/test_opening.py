"""A run directory that somebody looks at or mends."""

from pathlib import Path

from pipeline.offline.opening import find_run
from tests.support.job_files import MINIMAL


def test_the_directory_of_an_earlier_version_is_found_though_its_job_has_a_key_that_is_refused_today(
    tmp_path: Path,
) -> None:
    (tmp_path / "results.jsonl").touch()
    (tmp_path / "spec.yaml").write_text(f"{MINIMAL}api: {{qps: {{search: 20, query: 5}}}}\n")
    assert find_run(tmp_path).spec.name == "autumn"

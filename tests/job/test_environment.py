"""Settings from outside a job file: the process wins over the `.env`, and no secret is shown."""

from pathlib import Path

from pipeline.job.environment import Environment, read_environment

KEY, ID, SECRET = "PATSNAP_API_KEY", "PATSNAP_CLIENT_ID", "PATSNAP_CLIENT_SECRET"


def test_a_variable_of_the_process_wins_over_the_file_beside_the_job(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{KEY}=from-file\n{ID}=only-here\nEMPTY\n")
    found = read_environment(tmp_path / "job.yaml", {KEY: "from-process", "HOME": "/"})
    assert found.values == {KEY: "from-process", ID: "only-here", "HOME": "/"}
    assert found.secrets == ("only-here", "from-process")


def test_a_value_of_the_file_is_taken_as_it_stands(tmp_path: Path) -> None:
    """A secret may hold a dollar sign; nothing is put in for it."""
    (tmp_path / ".env").write_text(f"{SECRET}='a${{HOME}}b'\n")
    assert read_environment(tmp_path / "job.yaml", {"HOME": "/"}).secrets == ("a${HOME}b",)


def test_without_a_file_the_process_alone_counts_as_it_is_now(tmp_path: Path) -> None:
    process = {"PATSNAP_PROXY": "http://p.example:1"}
    found = read_environment(tmp_path / "job.yaml", process)
    process.clear()
    assert (found.proxy, found.secrets, found.remark) == ("http://p.example:1", (), None)


def test_the_settings_are_never_shown() -> None:
    assert "canary" not in repr(Environment({KEY: "canary-0123456789"}))

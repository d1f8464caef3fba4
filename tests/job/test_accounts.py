"""Accounts of a job: names, limits and credentials of each; what lacks is named by its variable, never by a value."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import SpecError
from pipeline.models import Kind
from pipeline.run.load import load
from tests.support.documents import ROOT, blocks
from tests.support.two_accounts import CREDENTIALS

HALF = {name: value for name, value in CREDENTIALS.items() if not name.endswith("SECRET__SECOND")}
ONE_TWICE = {**CREDENTIALS, "PATSNAP_CLIENT_ID__SECOND": CREDENTIALS["PATSNAP_CLIENT_ID__MAIN"]}


def written(folder: Path, accounts: Any, **parts: Any) -> Path:
    spec = {
        "version": 1,
        "name": "job",
        "images": [{"url": "https://example.com/1.jpg"}],
        "cluster": {"shared": str(folder), "accounts": accounts},
        **parts,
    }
    path = folder / "job.yaml"
    path.write_text(json.dumps(spec))
    return path


def test_what_the_page_shows_gives_each_account_its_credentials_and_its_limits(tmp_path: Path) -> None:
    [shown] = [block for block in blocks(ROOT / "docs" / "many-machines.md", "yaml") if "accounts:" in block]
    parts = yaml.safe_load(shown)
    path = written(tmp_path, parts["cluster"]["accounts"], api=parts["api"])
    main, second = load(path, environment=CREDENTIALS).each_account()
    assert (main.credentials.client_id, second.credentials.client_id) == ("main-client-id", "second-client-id")
    assert (main.spec.api.account, main.spec.api.qps) == ("main", 5)
    limits = [second.spec.api.qps_of(kind) for kind in (Kind.SEARCH, Kind.CREATE)]
    assert limits == [10, 5]
    assert load(path, environment=CREDENTIALS).spec.qps_in_all(Kind.SEARCH) == 15


def test_the_credentials_of_accounts_may_stand_in_the_env_file_beside_the_job(tmp_path: Path) -> None:
    path = written(tmp_path, ["main", "second"])
    env = tmp_path / ".env"
    env.write_text("".join(f"{name}={value}\n" for name, value in CREDENTIALS.items()))
    env.chmod(0o600)
    assert [*load(path, environment={}).accounts] == ["main", "second"]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, ["no credentials of account main", "PATSNAP_CLIENT_ID__MAIN", "PATSNAP_API_KEY__MAIN"]),
        (HALF, ["PATSNAP_CLIENT_SECRET__SECOND is missing"]),
        (ONE_TWICE, ["main and second are one account", "PATSNAP_CLIENT_ID__MAIN and PATSNAP_CLIENT_ID__SECOND"]),
    ],
)
def test_what_lacks_is_refused_in_one_line_that_names_variables_and_no_value(
    tmp_path: Path, environment: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(SpecError) as refused:
        load(written(tmp_path, ["main", "second"]), environment=environment)
    [line] = refused.value.lines
    assert all(word in line for word in words)
    assert not [value for value in CREDENTIALS.values() if value in str(line)]


def test_a_worker_of_one_account_needs_the_credentials_of_that_one_alone(tmp_path: Path) -> None:
    path = written(tmp_path, ["main", "second"])
    assert [*load(path, environment=HALF, account="main").accounts] == ["main"]
    with pytest.raises(SpecError, match=r"no such account: cluster\.accounts names main and second") as refused:
        load(path, environment=CREDENTIALS, account="third")
    assert refused.value.lines[0].fix == "pipeline work JOB --account main"  # a whole line: it adds no second --account


def test_no_job_file_may_hold_a_credential_of_whatever_account(tmp_path: Path) -> None:
    path = written(tmp_path, ["main", "second"], task={"enabled": False})
    path.write_text(path.read_text() + f"\n# {CREDENTIALS['PATSNAP_CLIENT_SECRET__SECOND']}\n")
    with pytest.raises(SpecError, match="the value of a credential stands in this file"):
        load(path, environment=CREDENTIALS)


@pytest.mark.parametrize(
    ("accounts", "words"),
    [
        (["Main"], "'Main' is not allowed"),
        (["a-b", "a_b"], "a-b and a_b have the same variables"),
        (["main", "main"], "have the same variables"),
        ([], "at least one entry"),
        ({"main": {"qps": 0}}, "cluster.accounts.main.qps"),
    ],
)
def test_names_that_give_no_variable_of_their_own_are_refused(tmp_path: Path, accounts: Any, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        load(written(tmp_path, accounts), environment=CREDENTIALS)


def test_a_job_of_one_account_may_name_it_and_not_beside_several(tmp_path: Path) -> None:
    named = written(tmp_path, None, api={"account": "second"})
    assert load(named, environment=CREDENTIALS).credentials.client_id == "second-client-id"
    with pytest.raises(SpecError, match="write one of the two"):
        load(written(tmp_path, ["main"], api={"account": "second"}), environment=CREDENTIALS)

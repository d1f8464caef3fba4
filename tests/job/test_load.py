"""From a file to a job: every fault at once with its place, secrets refused and never shown, `--set`."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import SpecError
from pipeline.job.environment import CREDENTIALS, PROXY, Environment
from pipeline.job.load import load_as_run, load_job
from pipeline.job.schema import JobSpec
from pipeline.system.fault import Fault
from tests.support.fixtures import Faults, Load
from tests.support.job_files import MINIMAL

SECRET = "canary-0123456789"


def settings(*credentials: str) -> Environment:
    """Make an environment with these credentials: client id, client secret, API key."""
    return Environment(dict(zip(CREDENTIALS, credentials, strict=True)))


def proxied(url: str) -> Environment:
    return Environment({PROXY: url})


def test_all_faults_are_told_at_once_in_the_order_of_the_file(faults: Faults) -> None:
    text = (
        "version: 2\n"
        "name: Autumn\n"
        "images:\n"
        "  - url: ftp://h.example/a.jpg\n"
        "  - {id: 12, path: a.jpg}\n"
        "serach: {}\n"
        "search:\n"
        "  filters:\n"
        "    loc: shoes\n"
        "  limit: 500\n"
        "task: {max_hits: 0, max_hits: 5}\n"
        "api:\n"
        "  qps: {serach: 1, create: 0}\n"
        "  token: abc\n"
    )
    places = [line.split(": ")[:2] for line in faults(text)]
    assert places == [
        ["job.yaml:1:1", "version"],
        ["job.yaml:2:1", "name"],
        ["job.yaml:4:5", "images[0].url"],
        ["job.yaml:5:6", "images[1].id"],
        ["job.yaml:6:1", "serach"],
        ["job.yaml:9:5", "search.filters.loc"],
        ["job.yaml:10:3", "search.limit"],
        ["job.yaml:11:8", "task.max_hits"],
        ["job.yaml:11:21", "the key 'max_hits' is here twice; keep one"],
        ["job.yaml:13:9", "api.qps.serach"],
        ["job.yaml:13:20", "api.qps.create"],
        ["job.yaml:14:3", "api.token"],
    ]


@pytest.mark.parametrize(
    "raw",
    [b"", b"# nothing\n", b"- version: 1\n", b"just words\n", b"42\n"],
    ids=["empty", "a remark", "a list at the top", "words", "a number"],
)
def test_a_file_that_is_no_mapping_is_told_what_a_job_is(faults: Faults, raw: bytes) -> None:
    [line] = faults(raw)
    assert "a job file is a mapping: it starts with `version: 1`, `name:` and `images:`" in line


def test_tabs_and_other_text_are_told_with_their_line(faults: Faults) -> None:
    assert faults("version: 1\nimages:\n\t- a\n")[0].startswith("job.yaml:3:1: this is not YAML")
    assert faults(MINIMAL.encode("utf-16"))[0].startswith("job.yaml:1:1: this is not UTF-8")


@pytest.mark.parametrize("kind", ["missing", "folder", "unreadable"])
def test_a_file_that_cannot_be_read_is_a_spec_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "none.yaml"
    if kind == "folder":
        path.mkdir()
    if kind == "unreadable":
        path.symlink_to(path.name)
    with pytest.raises(SpecError, match="cannot read the job file"):
        load_job(path)


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole of 1 TiB: reading it whole would end the process
    with pytest.raises(SpecError, match="larger than 1 MiB"):
        load_job(path)


# --- secrets ---


@pytest.mark.parametrize(
    "key",
    ["client_secret", "client_id", "apikey", "api_key", "API-KEY", "apiKey", "token", "access_token", "password"],
)
@pytest.mark.parametrize("where", ["top", "api", "list"])
def test_a_key_for_a_secret_is_refused_and_its_value_never_shown(faults: Faults, key: str, where: str) -> None:
    entry = f"{key}: {SECRET}"
    extra = {"top": entry, "api": f"api:\n  {entry}", "list": f"api:\n  - {entry}"}[where]
    lines = faults(f"{MINIMAL}{extra}\n")
    assert any("secrets do not belong in a job file" in line and "PATSNAP_CLIENT_ID" in line for line in lines)
    assert all(SECRET not in line for line in lines)


@pytest.mark.parametrize(
    "extra",
    [
        f"# {SECRET}",
        f"root: {SECRET}",
        f"output: {{dir: {SECRET}}}",
        f"task: {{report_lang: {SECRET}}}",
        f"search: {{endpoint: {SECRET}}}",
        f"{SECRET}: 1",
    ],
)
def test_a_credentials_value_anywhere_in_the_file_is_refused_and_never_shown(faults: Faults, extra: str) -> None:
    lines = faults(f"{MINIMAL}{extra}\n", environment=settings("", "short", SECRET))
    assert any("the value of a credential stands in this file" in line for line in lines)
    assert all(SECRET not in line for line in lines)


def test_a_short_credential_condemns_no_ordinary_file(load: Load) -> None:
    assert load(MINIMAL, environment=settings("", "autumn", "url")).name == "autumn"


def test_labels_and_columns_may_be_called_as_they_are_called(load: Load) -> None:
    text = "version: 1\nname: a\nimages: [{manifest: a.csv, labels: {token: x}, columns: {id: apikey}}]\n"
    assert load(text).images[0].columns.id == "apikey"


@pytest.mark.parametrize("key", ["base_url", "proxy"])
def test_an_address_with_a_password_is_refused_and_never_shown(faults: Faults, key: str) -> None:
    [line] = faults(f"{MINIMAL}api: {{{key}: 'https://me:{SECRET}@h.example'}}\n")
    assert line == f"job.yaml:5:7: api.{key}: a URL must not hold a user name or password"


def test_secrets_and_other_faults_are_told_together(faults: Faults) -> None:
    lines = faults("version: 1\nversion: 1\nname: A\ntoken: x\nimages: []\n")
    assert [line.split(":")[1] for line in lines] == ["2", "3", "4", "5"]


# --- --set ---


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("api.qps=50", lambda spec: spec.api.qps == 50),
        ("api.qps=0.5", lambda spec: spec.api.qps == 0.5),
        ("api.qps.search=7", lambda spec: spec.api.qps.search == 7),
        ("api={qps: 3, drain_s: 1}", lambda spec: (spec.api.qps, spec.api.drain_s) == (3, 1)),
        ("name=winter", lambda spec: spec.name == "winter"),
        (" name = winter ", lambda spec: spec.name == "winter"),
        ("task.enabled=false", lambda spec: spec.task.enabled is False),
        ("task.country=[US, EU]", lambda spec: spec.task.country == ["US", "EU"]),
        ("task.report=off", lambda spec: spec.task.report == "off"),
        ("search.filters.apply_start_time='20240101'", lambda spec: spec.search.filters.apply_start_time == "20240101"),
        ("output.run='{name}-{date}'", lambda spec: spec.output.run == "{name}-{date}"),
        ("api.base_url=sandbox", lambda spec: spec.sandbox),
        ("api.base_url=http://127.0.0.1:1", lambda spec: spec.vendor == "127.0.0.1:1"),
        ("api.ca_file=null", lambda spec: spec.api.ca_file is None),
        ("api.max_in_flight=", lambda spec: spec.api.max_in_flight is None),
    ],
)
def test_an_override_is_read_as_yaml(load: Load, override: str, read: Callable[[JobSpec], bool]) -> None:
    assert read(load(MINIMAL + "search: {limit: 5}\n", overrides=[override]))


def test_the_last_override_of_a_key_counts(load: Load) -> None:
    assert load(MINIMAL, overrides=["api.qps=1", "api={qps: 2}", "api.qps=3"]).api.qps == 3


def test_an_override_mends_what_the_file_has_wrong_or_lacks(load: Load) -> None:
    text = MINIMAL.replace("name: autumn\n", "") + "search: {limit: 500}\n"
    spec = load(text, overrides=["search.limit=5", "name=autumn"])
    assert (spec.name, spec.search.limit) == ("autumn", 5)


@pytest.mark.parametrize("key", ["output.dir", "root", "api.ca_file"])
@pytest.mark.parametrize("written", ["here", "./here", '"here"'])
def test_a_path_in_an_override_starts_at_the_current_folder(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, written: str
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    value = load(MINIMAL, overrides=[f"{key}={written}"])
    for part in key.split("."):
        value = getattr(value, part)
    assert value == str(tmp_path.resolve() / "cwd" / "here")


def test_a_folder_named_like_a_date_needs_no_quotes(load: Load) -> None:
    assert load(MINIMAL, overrides=["output.dir=2026-11-21"]).output.dir == str(Path("2026-11-21").resolve())


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("search.limit=500", "--set search.limit: 500: must be less than or equal to 100"),
        ("search.limt=5", "--set search.limt: unknown key; did you mean 'limit'?"),
        ("api={qp: 3}", "--set api.qp: unknown key; did you mean 'qps'?"),
        ("serach.limit=5", "--set serach: unknown key; did you mean 'search'?"),
        ("name=2024", '--set name: YAML reads 2024 as a number; put it in quotes: "2024"'),
        ("search.filters.field=APD", "--set search.filters.field: APD sorts by date"),
        ("images=[{id: a}]", "--set images[0]: name exactly one of url, path, views, manifest"),
        ("output.run={name}-{date}", "--set output.run: this is not YAML"),
        ("name=&x a", "--set name: anchors"),
        ("images.0.url=x", "--set images.0.url: only keys of mappings can be set"),
        ("name.first=x", "--set name.first: only keys of mappings can be set"),
        ("nonsense", "--set nonsense: write it as --set api.qps=10"),
        ("=5", "--set : write it as --set api.qps=10"),
        ("api..qps=5", "--set api..qps: write it as --set api.qps=10"),
        ("api.client_secret=x", "--set api.client_secret: write it as --set api.qps=10"),
    ],
)
def test_a_fault_in_an_override_names_it(faults: Faults, override: str, words: str) -> None:
    [line] = faults(MINIMAL, overrides=[override])
    assert line.startswith(f"job.yaml: {words}")


def test_the_override_to_type_instead_is_written_as_a_shell_takes_it(load: Load) -> None:
    with pytest.raises(SpecError) as refusal:
        load(MINIMAL, overrides=["name=2024"])
    [line] = refusal.value.lines
    assert isinstance(line, Fault)
    option, override = shlex.split(line.fix)
    assert load(MINIMAL, overrides=[override]).name == "2024"
    assert option == "--set"


def test_faults_of_the_file_and_of_overrides_are_told_together(faults: Faults) -> None:
    lines = faults(MINIMAL + "task: {max_hits: 0}\n", overrides=["search.limit=500", "api.qps=0"])
    assert len(lines) == 3
    assert sum("--set" in line for line in lines) == 2
    assert lines[-1].startswith("job.yaml:5:8: task.max_hits")


@pytest.mark.parametrize("override", ["x\udcff=1", "name=\udcff", "name=\x00", "a\nb=1"])
def test_odd_bytes_on_the_command_line_are_a_fault_not_a_crash(faults: Faults, override: str) -> None:
    assert faults(MINIMAL, overrides=[override])


def test_the_proxy_of_the_environment_counts_where_the_file_names_none(load: Load) -> None:
    assert load(MINIMAL, environment=proxied("http://p.example:1")).api.proxy == "http://p.example:1"
    named = load(MINIMAL + "api: {proxy: 'http://own.example:1'}\n", environment=proxied("http://p.example:1"))
    assert named.api.proxy == "http://own.example:1"


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("http://me:secret@p.example:1", "a URL must not hold a user name or password"),
        ("p.example:1", "a URL starts with https:// or http://"),
    ],
)
def test_a_fault_in_the_proxy_of_the_environment_names_the_variable_and_not_a_line(
    faults: Faults, load: Load, proxy: str, said: str
) -> None:
    assert faults(MINIMAL, environment=proxied(proxy)) == [
        f"job.yaml: PATSNAP_PROXY, in the environment or .env: {said}"
    ]
    assert (
        load(MINIMAL + "api: {proxy: 'http://own.example:1'}\n", environment=proxied(proxy)).api.proxy
        == "http://own.example:1"
    )


def test_a_job_is_read_through_a_link_and_its_paths_start_at_the_real_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "job.yaml").write_text(MINIMAL)
    os.symlink("real/job.yaml", tmp_path / "job.yaml")
    assert load_job(tmp_path / "job.yaml").folder == tmp_path.resolve() / "real"


def test_equal_jobs_of_runs_have_their_own_folders_and_a_changed_one_is_read_anew(tmp_path: Path) -> None:
    """The shards of a run have one job, which is read once."""
    files = [tmp_path / name / "spec.yaml" for name in ("e1", "e2")]
    for file in files:
        file.parent.mkdir()
        file.write_text(MINIMAL)
    assert [load_as_run(file).folder for file in files] == [file.resolve().parent for file in files]
    files[0].write_text(MINIMAL.replace("name: ", "name: other-"))
    assert load_as_run(files[0]) == load_job(files[0], as_run=True)
    assert load_as_run(files[0]).name != load_as_run(files[1]).name

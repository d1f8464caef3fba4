"""Credentials: either kind is enough, odd ones are refused, and none of them ever shows."""

from urllib.parse import quote

import pytest
from yarl import URL

from pipeline.endpoints.patsnap.credentials import Credentials, NoCredentials, credentials_from
from pipeline.errors import SpecError


def test_credentials_show_nothing_of_themselves() -> None:
    secret = Credentials(client_id="my-id", client_secret="my-secret", api_key="my-key")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>50}", repr([secret])):
        assert "my-" not in shown
        assert secret.basic.removeprefix("Basic ") not in shown
    assert repr(Credentials(api_key="sandbox-key")) == "Credentials(API key)"


def test_the_forms_in_which_credentials_could_show_are_known() -> None:
    odd = "a/b+c&d=e%f:g@é!?*'(),;$~"
    forms = Credentials(client_id=odd, client_secret="s3cret", api_key="k3y").secrets
    url = str(URL("https://a.example").with_query([("apikey", odd)]))
    assert {odd, "s3cret", "k3y", quote(odd, safe="")} <= set(forms)
    assert any(form in url for form in forms)
    client = Credentials(client_id="sandbox", client_secret="sandbox-secret")
    assert client.basic.removeprefix("Basic ") in client.secrets
    assert Credentials().secrets == ()


ID, SECRET, KEY = "PATSNAP_CLIENT_ID", "PATSNAP_CLIENT_SECRET", "PATSNAP_API_KEY"


def test_client_credentials_win_over_an_api_key_and_it_is_said() -> None:
    credentials, remark = credentials_from({ID: "i", SECRET: "s", KEY: "k"})
    assert credentials == Credentials(client_id="i", client_secret="s")
    assert remark is not None
    assert KEY in remark


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({ID: "i", SECRET: "s"}, Credentials(client_id="i", client_secret="s")),
        ({ID: " i\n", SECRET: "\ts "}, Credentials(client_id="i", client_secret="s")),
        ({KEY: "k"}, Credentials(api_key="k")),
        ({KEY: "k", ID: "i"}, Credentials(api_key="k")),
    ],
    ids=["client", "surrounding blanks", "key", "half a client and a key"],
)
def test_either_kind_of_credentials_is_enough(environment: dict[str, str], expected: Credentials) -> None:
    assert credentials_from(environment) == (expected, None)


@pytest.mark.parametrize("account", [None, "second-eu"])
def test_they_name_the_variables_that_they_were_read_from(account: str | None) -> None:
    suffix = "" if account is None else "__SECOND_EU"
    pair, _ = credentials_from({f"{ID}{suffix}": "i", f"{SECRET}{suffix}": "s"}, account)
    key, _ = credentials_from({f"{KEY}{suffix}": "k"}, account)
    assert (pair.variables, key.variables) == (f"{ID}{suffix} and {SECRET}{suffix}", f"{KEY}{suffix}")


@pytest.mark.parametrize("environment", [{}, {ID: "i"}])
def test_no_credentials_at_all_are_told_from_half_of_them(environment: dict[str, str]) -> None:
    with pytest.raises(SpecError) as missing:
        credentials_from(environment)
    assert isinstance(missing.value, NoCredentials) is (not environment)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, f"{ID} and {SECRET}, or {KEY}"),
        ({ID: "  "}, "no credentials"),
        ({ID: "i"}, f"{SECRET} is missing"),
        ({SECRET: "s"}, f"{ID} is missing"),
        ({KEY: "with space"}, KEY),
        ({KEY: "zero\x00byte"}, KEY),
        ({ID: "i", SECRET: "line\r\nbreak"}, SECRET),
        ({ID: "no\u00a0break", SECRET: "s"}, ID),
        ({ID: "tab\there", SECRET: "s"}, ID),
        ({KEY: "right\u202eto left"}, KEY),
    ],
)
def test_odd_credentials_are_refused_in_one_line_without_showing_them(environment: dict[str, str], named: str) -> None:
    with pytest.raises(SpecError) as caught:
        credentials_from(environment)
    (line,) = caught.value.lines
    assert named in line
    assert line.isprintable()
    assert not any(value.strip() and value.strip() in line for value in environment.values() if len(value.strip()) > 2)

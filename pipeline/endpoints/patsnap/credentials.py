"""Credentials for the vendor: client id and secret, or an API key, read from the environment."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from pipeline.errors import SpecError
from pipeline.system.fault import Fault
from pipeline.system.wording import enumerated

BASE_HOSTS = ("connect.patsnap.com", "connect.zhihuiya.com")  # the same keys are known at both
_SAFE_IN_QUERIES = "!$'()*,/:?@"  # the characters that yarl does not quote in a query


class NoCredentials(SpecError):
    """The error of an environment in which no credentials are, not even half of them."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Either client id and secret, or an API key; the others are "". The repr shows none of them.

    account  the name of the account that they are of, which their variables have, too; None where it has none
    """

    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    account: str | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return "Credentials(client credentials)" if self.client_id else "Credentials(API key)"

    @property
    def variables(self) -> str:
        """The environment variables that hold them, in words."""
        if self.api_key:
            return variable("API_KEY", self.account)
        return enumerated([variable(key, self.account) for key in ("CLIENT_ID", "CLIENT_SECRET")])

    @property
    def basic(self) -> str:
        """The value of the Authorization header of the token call."""
        return "Basic " + base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every form in which these credentials could appear in a text."""
        known = [self.client_id, self.client_secret, self.api_key]
        known += [self.basic.removeprefix("Basic ")] if self.client_id else []
        in_urls = [quote(text, safe=safe) for text in known for safe in ("", _SAFE_IN_QUERIES)]
        return tuple(dict.fromkeys(text for text in known + in_urls if text))


def variable(key: str, account: str | None) -> str:
    """Return the name of the environment variable that holds a part of an account's credentials."""
    return f"PATSNAP_{key}" if account is None else f"PATSNAP_{key}__{account.upper().replace('-', '_')}"


def credentials_from(environment: Mapping[str, str], account: str | None = None) -> tuple[Credentials, str | None]:
    """Read the credentials, of a named `account` or of the one; also return a remark when both kinds are set.

    Raises SpecError when there are none.
    """
    names = {key: variable(key, account) for key in ("CLIENT_ID", "CLIENT_SECRET", "API_KEY")}
    values = {key: environment.get(name, "").strip() for key, name in names.items()}
    for key, value in values.items():
        if not value.isprintable() or " " in value:
            what = "the value holds a space or a control character; set it again without"
            raise SpecError(Fault(what, where=names[key], fix=setting(account, key)))
    if ":" in values["CLIENT_ID"]:
        what = "the value holds a colon, which the vendor's Basic authorization cannot carry"
        raise SpecError(Fault(what, where=names["CLIENT_ID"], fix=setting(account, "CLIENT_ID")))
    both = bool(values["CLIENT_ID"] and values["CLIENT_SECRET"])
    if both:
        remark = f"{names['API_KEY']} is set too; the client credentials are used" if values["API_KEY"] else None
        return Credentials(values["CLIENT_ID"], values["CLIENT_SECRET"], account=account), remark
    if values["API_KEY"]:
        return Credentials(api_key=values["API_KEY"], account=account), None
    raise _missing(names, values, account)


def _missing(names: Mapping[str, str], values: Mapping[str, str], account: str | None) -> SpecError:
    """Say which credentials are not set; a value is never named."""
    half = [key for key in ("CLIENT_ID", "CLIENT_SECRET") if values[key]]
    missing = [key for key in ("CLIENT_ID", "CLIENT_SECRET") if not values[key]]
    what = (
        f"set {names['CLIENT_ID']} and {names['CLIENT_SECRET']}, or {names['API_KEY']}, in the environment or in an "
        ".env file beside the job file"
    )
    sandbox = "; or write `base_url: sandbox` to try the job without any" if account is None else ""
    of = "" if account is None else f" of account {account}"
    name = f"{names[missing[0]]} is missing" if half else f"no credentials{of}"
    kind = SpecError if half else NoCredentials
    return kind(Fault(f"{name}: {what}{sandbox}", fix=setting(account, *missing)))


def setting(account: str | None, *keys: str) -> str:
    """Write the line for a shell that sets credentials, with words in place of their values."""
    return "export " + " ".join(f"{variable(key, account)}=YOUR_{key}" for key in keys)

"""The account: the credentials that are found, what the vendor says to them, and the clock beside the vendor's."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.endpoints.patsnap.credentials import Credentials, NoCredentials, credentials_from, variable
from pipeline.errors import (
    HoldAll,
    InDoubt,
    PipelineError,
    RefreshToken,
    RunPaused,
    SlowDown,
    SpecError,
    SystemLimit,
    TryAgain,
    WrongProxy,
)
from pipeline.job.api import ApiSpec
from pipeline.job.environment import NAME, Environment
from pipeline.offline.doctor.finding import Finding, failed, failures, passed, warned
from pipeline.run.load import PUBLIC
from pipeline.run.token_call import TokenAsked
from pipeline.system.masking import hide
from pipeline.system.wording import duration, enumerated

Ask = Callable[[ApiSpec, Credentials], TokenAsked]

_LONG_ENOUGH, _SHOWN = 16, 3  # of an id's characters the last few are shown, where many more are not
_A_LITTLE_S, _MUCH_S = 30, 300


def account(api: ApiSpec, found: Environment, folder: Path, ask: Ask, *, process: Mapping[str, str]) -> list[Finding]:
    """Look for credentials, in the process and in the `.env` of a folder, and ask the vendor for a token with them.

    `ask` makes that one call, which is free; with an API key there is no call that is.
    """
    if api.base_url == "sandbox":
        return [passed("credentials", "none needed on the sandbox; real ones are neither read nor sent")]
    try:
        credentials, remark = credentials_from(found.values, api.account)
    except SpecError as error:
        return _without(error, folder)
    hide(secret for secret in credentials.secrets if secret not in PUBLIC)
    text = f"{_which(credentials)}, from {_whence(credentials, api.account, folder, process)}"
    remarks = [warned("credentials", said) for said in (remark, found.remark) if said]
    said = [passed("credentials", text), *remarks]
    if credentials.api_key:
        text = "not tried: an API key has no free call, so the first paid one shows whether it is accepted"
        return [*said, warned("token", text)]
    try:
        asked = ask(api, credentials)
    except SpecError as error:
        return [*said, *failures("token", error)]
    return [*said, _token(asked, api), *_clock(asked)]


def _without(error: SpecError, folder: Path) -> list[Finding]:
    """Say that no credentials are there; where their example lies unfilled, what to do with it."""
    found = failures("credentials", error)
    example = folder / f"{NAME}.example"
    first = found[0]
    if isinstance(error, NoCredentials) and example.is_file() and not (folder / NAME).exists():
        text = f"{first.text.partition(':')[0]}: copy {example.name} to {NAME}, and fill it in"
        copied = shlex.join(["cp", str(example), str(folder / NAME)])
        return [failed("credentials", text, fix=f"{copied} && {shlex.join(['chmod', '600', str(folder / NAME)])}")]
    return found


def _which(credentials: Credentials) -> str:
    if credentials.api_key:
        return f"an API key ({len(credentials.api_key)} characters)"
    shown = credentials.client_id[-_SHOWN:] if len(credentials.client_id) >= _LONG_ENOUGH else ""
    return f"client id ***{shown} and its secret"


def _whence(credentials: Credentials, account: str | None, folder: Path, process: Mapping[str, str]) -> str:
    keys = ["API_KEY"] if credentials.api_key else ["CLIENT_ID", "CLIENT_SECRET"]
    names = [variable(key, account) for key in keys]
    places = ["the environment" if process.get(name, "").strip() else str(folder / NAME) for name in names]
    return enumerated(list(dict.fromkeys(places)))


def _token(asked: TokenAsked, api: ApiSpec) -> Finding:
    if asked.lifetime_s is not None:
        return passed("token", f"{api.base_url} granted one for {duration(asked.lifetime_s)}; nothing was paid")
    error = asked.error
    assert error is not None
    return (warned if isinstance(error, SlowDown | HoldAll) else failed)(
        "token", f"{error}; {_meaning(error, api.account)}"
    )


def _meaning(error: PipelineError, of: str | None) -> str:
    """Say what a refused token means for the account, and what to do."""
    if isinstance(error, RefreshToken):
        return (
            f"the client id or its secret is wrong, or belongs to another host: compare {variable('CLIENT_ID', of)} "
            f"and {variable('CLIENT_SECRET', of)} with the vendor's page of your account"
        )
    if isinstance(error, SlowDown):
        return "the account is used by somebody else at this moment: look again in a minute"
    if isinstance(error, HoldAll):
        return "the vendor's platform is full: look again in a minute"
    if isinstance(error, WrongProxy | SystemLimit):
        return "no call would come through"
    if isinstance(error, RunPaused):
        return "the account has nothing left, or nothing left today: ask the vendor, or wait for tomorrow"
    condition = getattr(error, "condition", "")
    if condition == "not_sent":
        return "look at the network, the firewall, the name in api.base_url and the proxy"
    if condition == "certificate":
        return (
            "somebody between us and the vendor answers in its place, as a company's proxy does: name the file of "
            "its certificate in api.ca_file"
        )
    if isinstance(error, TryAgain | InDoubt):
        return "the vendor's side fails: look again later"
    return "a person must look: ask the vendor what it means for your account"


def _clock(asked: TokenAsked) -> list[Finding]:
    ahead_s = asked.ahead_s
    if ahead_s is None:
        return [] if asked.lifetime_s is None else [warned("clock", "the vendor's answer has no date to compare with")]
    off = abs(ahead_s)
    said = f"{duration(off)} {'ahead of' if ahead_s > 0 else 'behind'} the vendor's"
    if off <= _A_LITTLE_S:
        return [passed("clock", f"as the vendor's, to {max(1, round(off))} s")]
    mend = "set it by a time server: results, deadlines of tasks and the names of run directories go by it"
    return [(warned if off <= _MUCH_S else failed)("clock", f"{said}; {mend}")]

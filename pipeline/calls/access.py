"""Who we are to the vendor: credentials from the environment, and the access token with one refresh at a time."""

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import anyio

from pipeline.endpoints.patsnap.wire import Token
from pipeline.errors import Code, RunPaused, RunStopped, SpecError
from pipeline.system.masking import hide

REFRESH_AT = 5 / 6  # of the lifetime, counted from before the request
MAX_REFUSALS = 3
_SAFE_IN_QUERIES = "!$'()*,/:?@"  # what yarl leaves as it is


@dataclass(frozen=True, slots=True)
class Credentials:
    """Either client id and secret, or an API key. Never shown: the repr is masked."""

    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)

    def __repr__(self) -> str:
        return "Credentials(client credentials)" if self.client_id else "Credentials(API key)"

    @property
    def basic(self) -> str:
        """The Basic authorization for the token call."""
        return "Basic " + base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every form in which these credentials could show up in a text."""
        known = [self.client_id, self.client_secret, self.api_key]
        known += [self.basic.removeprefix("Basic ")] if self.client_id else []
        in_urls = [quote(text, safe=safe) for text in known for safe in ("", _SAFE_IN_QUERIES)]
        return tuple(dict.fromkeys(text for text in known + in_urls if text))


def credentials_from(environment: Mapping[str, str]) -> tuple[Credentials, str | None]:
    """Read the credentials; also return a remark when both kinds are set. Raises SpecError when there are none."""
    values = {key: environment.get(f"PATSNAP_{key}", "").strip() for key in ("CLIENT_ID", "CLIENT_SECRET", "API_KEY")}
    for key, value in values.items():
        if not value.isprintable() or " " in value:
            raise SpecError(f"PATSNAP_{key} holds a space or a control character; set it again without")
    if ":" in values["CLIENT_ID"]:
        raise SpecError("PATSNAP_CLIENT_ID holds a colon, which the vendor's Basic authorization cannot carry")
    both = bool(values["CLIENT_ID"] and values["CLIENT_SECRET"])
    if both:
        remark = "PATSNAP_API_KEY is set too; the client credentials are used" if values["API_KEY"] else None
        return Credentials(client_id=values["CLIENT_ID"], client_secret=values["CLIENT_SECRET"]), remark
    if values["API_KEY"]:
        return Credentials(api_key=values["API_KEY"]), None
    half = next((key for key in ("CLIENT_ID", "CLIENT_SECRET") if values[key]), None)
    missing = "PATSNAP_CLIENT_SECRET is" if half == "CLIENT_ID" else "PATSNAP_CLIENT_ID is"
    raise SpecError(
        (f"{missing} missing" if half else "no credentials")
        + ": set PATSNAP_CLIENT_ID and PATSNAP_CLIENT_SECRET, or PATSNAP_API_KEY, in the environment or in an .env "
        "file beside the job file; or write `base_url: sandbox` to try the job without any"
    )


class Auth:
    """The bearer of the moment. `fetch` asks the vendor for a token; `clock` is monotonic seconds."""

    def __init__(
        self, credentials: Credentials, *, fetch: Callable[[], Awaitable[Token]], clock: Callable[[], float]
    ) -> None:
        self._credentials = credentials
        self._fetch = fetch
        self._clock = clock
        self._single = anyio.Lock()
        self._bearer = credentials.api_key
        self._stale_at = float("inf") if credentials.api_key else float("-inf")
        self._refusals = 0
        self._failure: RunPaused | RunStopped | None = None

    @property
    def apikey(self) -> str | None:
        """The `apikey` query parameter: the client id, or None with an API key."""
        return self._credentials.client_id or None

    async def ready(self) -> None:
        """Make sure that a fresh token is at hand; of many callers one fetches, and all share how that ends."""
        if self._clock() < self._stale_at:
            return
        async with self._single:
            if self._clock() < self._stale_at:
                return
            if self._failure is not None:  # the run is ending: asking once for each caller would only hold it up
                raise type(self._failure)(self._failure.message, code=self._failure.code, sent=False)
            asked_at = self._clock()
            try:
                token = await self._fetch()
            except (RunPaused, RunStopped) as failure:
                self._failure = failure
                raise
            hide([token.value], passing=True)
            self._bearer = token.value
            self._stale_at = asked_at + REFRESH_AT * token.lifetime_s

    def doubt(self) -> None:
        """Fetch a new token before the next call: the clock was moved, or the machine slept."""
        if not self._credentials.api_key:
            self._stale_at = float("-inf")

    @property
    def bearer(self) -> str:
        """The token to send right now."""
        return self._bearer

    def accepted(self) -> None:
        """Count an answer that did not refuse the token."""
        self._refusals = 0

    def refused(self, bearer: str, reason: str) -> None:
        """Drop the token that was refused. Raises RunStopped after three fresh ones in a row, or for an API key."""
        if bearer != self._bearer or self._clock() >= self._stale_at:
            return  # someone else has noticed already
        self._refusals += 1
        if self._credentials.api_key or self._refusals >= MAX_REFUSALS:
            which = "PATSNAP_API_KEY" if self._credentials.api_key else "PATSNAP_CLIENT_ID and PATSNAP_CLIENT_SECRET"
            raise RunStopped(f"the vendor refused the credentials: {reason}. Check {which}", code=Code.CREDENTIALS)
        self._stale_at = float("-inf")

"""Authentication, in both of the vendor's modes: access tokens and API keys."""

import base64
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Literal
from urllib.parse import parse_qs

import msgspec

from pipeline.sandbox.envelope import INVALID_PARAMETER, Answer, Refused

_WRONG_KEY = 67200003
_APIKEY_MISSING = 67200008
_APIKEY_MISMATCH = 67200009


class TokenDesk:
    """The issue and check of tokens, which are forgotten when the sandbox ends.

    With `only_one`, a new token ends the life of the one before. `clock` is the wall clock in seconds.
    """

    def __init__(
        self,
        *,
        client: tuple[str, str],
        api_key: str,
        lifetime_s: int,
        shape: Literal["flat", "nested"],
        only_one: bool,
        clock: Callable[[], float],
    ) -> None:
        self._client_id = client[0]
        self._basic = base64.b64encode(":".join(client).encode()).decode()
        self._api_key = api_key
        self._lifetime_s = lifetime_s
        self._shape = shape
        self._only_one = only_one
        self._clock = clock
        self._expiry: dict[str, float] = {}

    def issue(self, authorization: str | None, *, content_type: str, form: str) -> Answer:
        """Answer a call of /oauth/token. Raises Refused for wrong credentials or a wrong form."""
        if not _same(_credential(authorization, "Basic"), self._basic):
            raise Refused(_WRONG_KEY)
        if content_type != "application/x-www-form-urlencoded":
            raise Refused(INVALID_PARAMETER, "the body must be application/x-www-form-urlencoded")
        if parse_qs(form).get("grant_type") != ["client_credentials"]:
            raise Refused(INVALID_PARAMETER, "grant_type must be client_credentials")
        now = self._clock()
        alive = {} if self._only_one else self._expiry
        self._expiry = {token: expiry for token, expiry in alive.items() if expiry > now}
        token = secrets.token_urlsafe(24)
        self._expiry[token] = now + self._lifetime_s
        return Answer(self._shaped(token, issued_at=str(int(now * 1000))))

    def admit(self, authorization: str | None, apikeys: Sequence[str]) -> None:
        """Check the credentials of any other call; `apikeys` are the values of that query parameter. Raises Refused."""
        bearer = _credential(authorization, "Bearer")
        if _same(bearer, self._api_key):
            if apikeys:
                raise Refused(_APIKEY_MISMATCH, "an API key is used without the apikey parameter")
            return
        if self._expiry.get(bearer, 0.0) <= self._clock():
            raise Refused(_WRONG_KEY)
        if not apikeys:
            raise Refused(_APIKEY_MISSING)
        if len(apikeys) > 1 or not _same(apikeys[0], self._client_id):
            raise Refused(_APIKEY_MISMATCH)

    def _shaped(self, token: str, *, issued_at: str) -> bytes:
        answer = {"token": token, "token_type": "BearerToken", "expires_in": self._lifetime_s, "status": "approved"}
        if self._shape == "flat":
            return msgspec.json.encode({**answer, "issued_at": issued_at})
        # The older shape, which also has the number as text: a client must understand both.
        data = {**answer, "expires_in": str(self._lifetime_s), "issued_at": issued_at}
        return msgspec.json.encode({"data": data, "status": True, "error_code": 0, "error_msg": ""})


def _credential(authorization: str | None, scheme: str) -> str:
    """Return what follows the scheme in the header; "" when there is none, or another scheme."""
    given, _, credential = (authorization or "").partition(" ")
    return credential.strip() if given.lower() == scheme.lower() else ""


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())

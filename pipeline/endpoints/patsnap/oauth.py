"""The token call: client credentials against an access token."""

from typing import NamedTuple

from pipeline.endpoints.interface import Answer, Request
from pipeline.endpoints.patsnap.envelope import number_in, read_json, read_json_or_none, refusal_in
from pipeline.models import Kind

MAX_BYTES = 64 << 10
USUAL_LIFETIME_S = 1799.0  # of a token whose answer does not say


class Token(NamedTuple):
    """An access token and how long it lives, in seconds."""

    value: str
    lifetime_s: float


class AccessToken:
    """The endpoint that grants access tokens; the caller adds the Basic authorization."""

    kind = Kind.TOKEN

    def request(self, asked: None) -> Request:
        """Ask for an access token."""
        return Request(
            Kind.TOKEN,
            "POST",
            "/oauth/token",
            body=b"grant_type=client_credentials",
            content_type="application/x-www-form-urlencoded",
            most_bytes=MAX_BYTES,
        )

    def read(self, answer: Answer) -> Token:
        """Read the token from the flat or the older nested shape; `expires_in` may be text. Raises Refusal."""
        granted = answer.status in (200, 201)
        whole = read_json(answer).value if granted else read_json_or_none(answer)
        if not granted or not isinstance(whole, dict):
            raise refusal_in(Kind.TOKEN, answer, whole)
        nested = whole.get("data")
        inner = nested if isinstance(nested, dict) else whole
        value, lifetime_s = inner.get("token") or inner.get("access_token"), number_in(inner.get("expires_in"))
        if not isinstance(value, str) or not value.isprintable() or not value.strip():
            raise refusal_in(Kind.TOKEN, answer, whole)
        return Token(value, lifetime_s if lifetime_s and lifetime_s > 0 else USUAL_LIFETIME_S)

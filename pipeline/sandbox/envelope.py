"""The vendor's answer envelope and its error codes."""

from typing import NamedTuple

import msgspec

# The texts of the vendor's pages, shortened.
CODE_TEXTS = {
    67200000: "API call exceeds the total limit set by the platform",
    67200001: "API call exceeds the total limit set by the platform",
    67200002: "current call rate exceeds the configured QPS",
    67200003: "key or secret incorrect, token expired or client disabled",
    67200004: "no permission for this API",
    67200005: "insufficient balance",
    67200006: "client past its activation validity period",
    67200007: "exceeds the usage limit of the day",
    67200008: "apikey missing from the query",
    67200009: "apikey does not match the bearer token",
    67200012: "request is illegal",
    67200100: "server busy, response timeout",
    67200101: "API does not exist",
    68300004: "invalid parameter",
    68300005: "search api failure",
    68300006: "analytic basic access error",
    68300007: "bad request",
    68300008: "service error, try again later",
    68300010: "file does not comply with upload specifications",
}

INVALID_PARAMETER = 68300004
BAD_REQUEST = 68300007
BAD_FILE = 68300010


class Refused(Exception):
    """A refusal by the vendor: its error code, and a detail that may name a field but never holds a secret."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class Answer(NamedTuple):
    """One JSON answer.

    code: the error code, 0 on success
    units: how many units the call is billed
    """

    body: bytes
    code: int = 0
    units: int = 0


def success(data: bytes, *, units: int = 0) -> Answer:
    """Wrap data, which is JSON already, into an envelope that says success."""
    return Answer(b'{"data":' + data + b',"status":true,"error_code":0,"error_msg":""}', units=units)


def failure(code: int, detail: str = "", *, text: str | None = None) -> Answer:
    """Build a business error; without a `text` of its own it has the contract's, or a general one."""
    text = text or CODE_TEXTS.get(code, "unknown error")
    message = f"{text}: {detail}" if detail else text
    return Answer(msgspec.json.encode({"data": None, "status": False, "error_code": code, "error_msg": message}), code)

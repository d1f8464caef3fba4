"""Keeps secrets out of texts: whatever is registered once never shows in a log, on a terminal or in a traceback.

A last line of defence: nothing is meant to put a secret into a text in the first place. Process-wide, because a
traceback knows nothing of the job it came from.
"""

import base64
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

_MASK = "***"
_LEAST = 4  # shorter values would mask ordinary words
_hidden: set[str] = set()


def hide(secrets: Iterable[str]) -> None:
    """Register secrets in every form they could take: raw, percent-encoded, base64."""
    for secret in secrets:
        if len(secret) >= _LEAST:
            encoded = base64.b64encode(secret.encode()).decode()
            _hidden.update({secret, quote(secret, safe=""), quote_plus(secret), encoded, encoded.rstrip("=")})


def masked(text: str) -> str:
    """The text with every registered secret replaced."""
    for secret in sorted(_hidden, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return text

"""Masking of secrets: a registered secret never shows in a log, on a terminal or in a traceback.

This is the last line of defence: no code puts a secret into a text on purpose. The register is one for the process,
because a traceback does not know which job it came from.
"""

import base64
import html
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

_MASK = "***"
_LEAST = 4  # characters; shorter values would mask parts of ordinary words
# Characters that different programs leave as they are when they percent-encode.
_LEFT_IN_URLS = ("", "/", "!$'()*,/:?@", "!$&'()*+,/:;=?@")
_OF_USER = re.compile(r"(https?://)[^\s/?#\"]*@", re.IGNORECASE)
_ESCAPED = re.compile("%[0-9A-F]{2}")
_lasting: set[str] = set()
# Tokens: a run of weeks sees hundreds, and only the last few can still turn up in a text.
_passing: deque[set[str]] = deque(maxlen=8)
_longest_first: tuple[str, ...] = ()


def hide(secrets: Iterable[str], *, passing: bool = False) -> None:
    """Register secrets in every form they may take in a text; `passing` ones are kept until eight more sets came."""
    global _longest_first
    forms = {form for secret in secrets if len(secret) >= _LEAST for form in _forms(secret)}
    if passing:
        _passing.append(forms)
    else:
        _lasting.update(forms)
    _longest_first = tuple(sorted(_lasting.union(*_passing), key=len, reverse=True))


def masked(text: str) -> str:
    """Replace every registered secret in a text by `***`."""
    for form in _longest_first:
        text = text.replace(form, _MASK)
    return text


def without_password(text: str) -> str:
    """Replace the user name and password of each URL in a text by `***`: nobody registered them."""
    return _OF_USER.sub(rf"\1{_MASK}@", text)


def _quoted(text: str) -> Iterator[str]:
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret raw, percent-encoded, in base64, and as HTML, JSON and Python quote it, once and twice."""
    yield secret
    for encoded in (*(quote(secret, safe=safe) for safe in _LEFT_IN_URLS), quote_plus(secret)):
        yield encoded
        yield _ESCAPED.sub(lambda escape: escape[0].lower(), encoded)
        yield encoded.replace("%", "%25")
    yield html.escape(secret)
    yield html.escape(secret, quote=False)
    for quoted in _quoted(secret):
        yield quoted
        yield from _quoted(quoted)
    for encoder in (base64.b64encode, base64.urlsafe_b64encode):
        packed = encoder(secret.encode()).decode()
        yield packed
        yield packed.rstrip("=")

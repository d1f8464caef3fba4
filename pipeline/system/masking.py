"""Keeps secrets out of texts: whatever is registered once never shows in a log, on a terminal or in a traceback.

A last line of defence: nothing is meant to put a secret into a text in the first place. Process-wide, because a
traceback knows nothing of the job it came from.
"""

import base64
import json
from collections import deque
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

_MASK = "***"
_LEAST = 4  # shorter values would mask ordinary words
_LEFT_IN_URLS = ("", "/", "!$'()*,/:?@", "!$&'()*+,/:;=?@")  # by different programs
_lasting: set[str] = set()
_passing: deque[set[str]] = deque(maxlen=8)  # tokens: a run of weeks sees hundreds, the last ones can still be shown
_longest_first: tuple[str, ...] = ()


def hide(secrets: Iterable[str], *, passing: bool = False) -> None:
    """Register secrets in every form they could take; `passing` ones are forgotten after a few more of them."""
    global _longest_first
    forms = {form for secret in secrets if len(secret) >= _LEAST for form in _forms(secret)}
    if passing:
        _passing.append(forms)
    else:
        _lasting.update(forms)
    _longest_first = tuple(sorted(_lasting.union(*_passing), key=len, reverse=True))


def masked(text: str) -> str:
    """The text with every registered secret replaced."""
    for form in _longest_first:
        text = text.replace(form, _MASK)
    return text


def _quoted(text: str) -> Iterator[str]:
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]


def _forms(secret: str) -> Iterator[str]:
    """Raw, percent-encoded, as JSON and Python write it within quotes (and once more within others), and base64."""
    yield secret
    for encoded in (*(quote(secret, safe=safe) for safe in _LEFT_IN_URLS), quote_plus(secret)):
        yield encoded
        yield encoded.replace("%", "%25")
    for quoted in _quoted(secret):
        yield quoted
        yield from _quoted(quoted)
    for encoder in (base64.b64encode, base64.urlsafe_b64encode):
        packed = encoder(secret.encode()).decode()
        yield packed
        yield packed.rstrip("=")

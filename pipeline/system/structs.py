"""JSON read as structs of msgspec, whichever thread is the first to use a type."""

import threading
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T")

_MAKING = threading.Lock()
_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode(data: bytes | str, kind: type[_T]) -> _T:
    """Read JSON as a `kind`. Raises msgspec.MsgspecError.

    With the first use of a type msgspec finds out about its fields, and a thread that reads the same type before that
    is done ends the process by a segmentation fault (msgspec 0.22; seen in `status`, which reads many shards at once).
    So one thread finds out, and others wait for it.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        with _MAKING:
            decoder = _DECODERS.setdefault(kind, msgspec.json.Decoder(kind))
    found: _T = decoder.decode(data)
    return found

"""The seal of a token in a store that others may read: whoever can open it has the client's secret anyway."""

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES, _NONCE_BYTES = 32, 12
_PURPOSE = b"infringement-pipeline: access token of "


class Seal:
    """The seal of one account: AES-256-GCM, with a key made by HKDF from the client's secret and the account."""

    def __init__(self, secret: str, account: str) -> None:
        self._account = account.encode()
        derived = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_PURPOSE + self._account)
        self._cipher = AESGCM(derived.derive(secret.encode()))

    def __repr__(self) -> str:
        return "Seal()"

    def close(self, data: bytes) -> str:
        """Seal some bytes; the text can stand anywhere."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, data, self._account)).decode()

    def open(self, text: str) -> bytes | None:
        """Return what was sealed; None where it was sealed with another secret, for another account, or was changed."""
        try:
            sealed = base64.b64decode(text, validate=True)
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._account)
        except (InvalidTag, ValueError, binascii.Error):
            return None

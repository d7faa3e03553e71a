"""Secrets that must be used again, and so cannot be hashed, are kept encrypted."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken

from inferhub.errors import Unavailable


def encrypt(text: str, *, key: str) -> str:
    """Encrypt `text` with a key derived from the installation's secret key."""
    return _fernet(key).encrypt(text.encode()).decode()


def decrypt(token: str, *, key: str) -> str:
    """The text again. Raises Unavailable where the installation's secret key is another than at encryption."""
    try:
        return _fernet(key).decrypt(token.encode()).decode()
    except InvalidToken as exc:
        raise Unavailable(
            "A stored secret cannot be decrypted: INFERHUB_SECRET_KEY is not the key it was stored with."
        ) from exc


def _fernet(key: str) -> Fernet:
    # The installation's key is long and random, so one hash is derivation enough.
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"inferhub secrets v1:" + key.encode()).digest()))

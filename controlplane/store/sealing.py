"""Secrets at rest: AES-256-GCM under the database's key, bound to the place that they are stored in.

The key lies beside the database (`<database>.key`, 0600) or comes from the environment; it is never in the database. A copy of
the database alone therefore opens nothing.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from controlplane.errors import DatabaseError
from worker.secret import Secret

KEY_BYTES = 32
NONCE_BYTES = 12
"""NIST SP 800-38D §8.2.2: random nonces of 96 bits, good for 2^32 seals under one key; a database sees a few a rotation."""

MAX_KEY_FILE_BYTES = 4096


class Sealer:
    """Seals and opens under one key. *context* names the column and row, so that a sealed value cannot be moved elsewhere."""

    def __init__(self, key: Secret[bytes], *, origin: str) -> None:
        self._aead = AESGCM(key.reveal())
        self.origin = origin
        """The key's source, for error lines."""

    def seal(self, plain: bytes, context: str) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> Secret[bytes]:
        """Raises DatabaseError where *sealed* was made with another key or for another place."""
        try:
            return Secret(self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode()))
        except (InvalidTag, ValueError) as error:
            raise DatabaseError(f"the key in {self.origin} does not open what is stored as {context}") from error


def read_key(text: str, *, origin: str) -> Secret[bytes]:
    """32 bytes, written as base64. Raises DatabaseError naming *origin*, never the text."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DatabaseError(f"{origin}: not a key: expected {KEY_BYTES} bytes in base64") from error
    if len(key) != KEY_BYTES:
        raise DatabaseError(f"{origin}: a key of {len(key)} bytes; expected {KEY_BYTES}, in base64")
    return Secret(key)


def load_key(path: Path) -> Secret[bytes]:
    """The key in a file. Raises DatabaseError where it is missing, unreadable, malformed, or open to other users."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(MAX_KEY_FILE_BYTES)
    except OSError as error:
        raise DatabaseError(f"key file {path}: {error.strerror}") from error
    if mode & stat.S_IRWXO:
        raise DatabaseError(f"key file {path}: readable by everybody (mode {mode:04o}); chmod 600 it")
    return read_key(text.decode("ascii", "replace"), origin=f"key file {path}")


def make_key(path: Path) -> Secret[bytes]:
    """A new key in a new file of mode 0600, or the one that is there. The caller holds the database's lock."""
    key = secrets.token_bytes(KEY_BYTES)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return load_key(path)
    except OSError as error:
        raise DatabaseError(f"key file {path}: {error.strerror}") from error
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64encode(key) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return Secret(key)

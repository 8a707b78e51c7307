"""A client's certificate and key, as a test brings them, and the loading of both into a TLS context.

OpenSSL reads them from a file in memory that has no name: no key ever lies on a disk. Nobody is asked for a passphrase; a key
that has one cannot be used.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import sys

from msgspec import Struct

from worker.net.failure import door_error
from worker.outcome.failure import FailureCode
from worker.secret import Secret


class ClientIdentity(Struct, frozen=True, kw_only=True):
    """*chain* (PEM) begins with the client's own certificate."""

    chain: str
    key: Secret[str]

    def digest(self) -> bytes:
        """The same for the same certificate and key, and no secret."""
        return hashlib.sha256(f"{len(self.chain)}\n{self.chain}{self.key.reveal()}".encode()).digest()


def show(identity: ClientIdentity, context: ssl.SSLContext) -> None:
    """Have *context* show *identity* to servers that ask. Raises DoorError where it cannot be used; no part of it is repeated."""
    if sys.platform != "linux":
        raise door_error(
            FailureCode.INTERNAL_ERROR, "client certificates need Linux, whose files in memory have no name"
        )
    passphrases: list[str] = []

    def passphrase() -> str:
        passphrases.append("")
        return ""

    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        # The key comes first: a chain that was pasted with a key of its own must not decide.
        with open(descriptor, "w", encoding="utf-8", closefd=False) as file:  # a descriptor has no path
            file.write(f"{identity.key.reveal()}\n{identity.chain}\n")
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=passphrase)
    except ssl.SSLError as error:
        text = f"the client certificate and its key cannot be used: {_reason(error, passphrases)}"
        raise door_error(FailureCode.INVALID_REQUEST, text) from None
    finally:
        os.close(descriptor)


def _reason(error: ssl.SSLError, passphrases: list[str]) -> str:
    """OpenSSL has a name for one of the reasons; that it asked for a passphrase tells another."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate"
    return "the key has a passphrase" if passphrases else "one of them is not valid PEM"

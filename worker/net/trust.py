"""Which certificate authorities are believed: the system's, `caFile`, and every `.pem` in the certificates directory.
Built once.

A context is made once for each kind of verification and shared by all connections; it keeps no sessions, so every
handshake is a full one and its time means the same in each run.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path


class TrustStore:
    """*ca_files* are PEM files. Raises OSError or ssl.SSLError, naming nothing: the caller knows the option."""

    def __init__(self, ca_files: Iterable[Path] = ()) -> None:
        self._verifying = _context()
        for path in ca_files:
            self._verifying.load_verify_locations(cafile=path)
        self._trusting = _context()
        self._trusting.check_hostname = False
        self._trusting.verify_mode = ssl.CERT_NONE

    def context(self, *, verify: bool) -> ssl.SSLContext:
        return self._verifying if verify else self._trusting


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context

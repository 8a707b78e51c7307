"""TLS to targets, and the authorities that are believed: the system's, those of `caFile` and of the certificates directory.

A context is made once for each kind of verification and shared by all connections. No TLS session is ever resumed, so every
handshake is a full one and its time means the same in each run.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path

from worker.net.recorder import Recorder
from worker.net.stream import Stream
from worker.net.tls import SecureStream


class TrustStore:
    """*ca_files* are PEM files. Raises OSError or ssl.SSLError, naming nothing: the caller knows the option."""

    def __init__(self, ca_files: Iterable[Path] = ()) -> None:
        self._verifying = _context()
        self._verifying.load_default_certs()
        for path in ca_files:
            self._verifying.load_verify_locations(cafile=path)
        self._trusting = _context()
        self._trusting.check_hostname = False
        self._trusting.verify_mode = ssl.CERT_NONE

    def context(self, *, verify: bool) -> ssl.SSLContext:
        return self._verifying if verify else self._trusting

    async def secure(self, stream: Stream, server_name: str, *, verify: bool, recorder: Recorder) -> SecureStream:
        """Shake hands over *stream*. Raises OSError; then, and when cancelled, the stream is closed."""
        secured = SecureStream(stream, self.context(verify=verify), server_name)
        try:
            await secured.shake_hands(recorder)
        except BaseException:
            stream.close()
            raise
        return secured


def _context() -> ssl.SSLContext:
    """The same on every Python: `ssl.create_default_context` of 3.13 refuses what many internal authorities issue
    (VERIFY_X509_STRICT), so a test would pass or fail by the worker's Python.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    return context

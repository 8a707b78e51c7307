"""TLS to targets, and the authorities that are believed: the system's, those of `caFile` and of the certificates directory.

A context is made once for each kind of verification and shared by all connections. No TLS session is ever resumed, so every
handshake is a full one and its time means the same in each run.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Final

from worker.net import alpn
from worker.net.aside import Aside
from worker.net.certificate_name import compare, is_left_to_us
from worker.net.identity import ClientIdentity, show
from worker.net.recorder import Recorder
from worker.net.stream import Stream
from worker.net.tls import SecureStream
from worker.outcome.handshake import Handshake

_CIPHERS = "DEFAULT:@SECLEVEL=1"
"""OpenSSL's own list, at the level of OpenSSL 3.0 and Node. Python's list lacks RSA key exchange and SHA-1 MACs, and distributors
raise the level: a target is watched as it is, and the result says what was agreed.
"""

_ANY_CIPHERS = "DEFAULT:@SECLEVEL=0"
"""The same with keys of any size and SHA-1 signatures, without which there is no TLS 1.0 and 1.1."""

MOST_KEPT: Final = 16
"""Contexts for single tests that are kept: each holds all authorities, a megabyte of them, which take longer to read than a
handshake does.
"""


class TrustStore:
    """*ca_files* are PEM files. Raises OSError or ssl.SSLError, naming nothing: the caller knows the option."""

    def __init__(self, ca_files: Iterable[Path] = ()) -> None:
        self.aside = Aside()
        self._ca_files = tuple(ca_files)
        self._kept: dict[Hashable, ssl.SSLContext] = {}
        self._verifying = _context(ssl.TLSVersion.TLSv1_2, _CIPHERS)
        self.believe(self._verifying)
        self._verifying.set_alpn_protocols(alpn.HTTP1)
        self._trusting = tolerant_context()
        accept_any_certificate(self._trusting)
        self._trusting.set_alpn_protocols(alpn.HTTP1)

    def believe(self, context: ssl.SSLContext) -> None:
        """Load the authorities into *context*; that takes some 20 ms."""
        _believe(context, self._ca_files)

    def context(self, *, verify: bool, identity: ClientIdentity | None = None) -> ssl.SSLContext:
        """Raises DoorError for an *identity* that cannot be shown."""
        if identity is None:
            return self._verifying if verify else self._trusting
        return self.kept(("target", verify, identity.digest()), lambda: self._identified(identity, verify=verify))

    def kept(self, key: Hashable, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """The context that *make* made when *key* was last asked for, or a new one; few are kept."""
        context = self._kept.pop(key, None) or make()
        self._kept[key] = context
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return context

    async def prepare(self, key: Hashable, make: Callable[[], ssl.SSLContext], recorder: Recorder) -> None:
        """Have `kept` find *key*: what it does not have is made aside, as reading the authorities would hold the loop."""
        if key not in self._kept:
            context = await self.aside.run(make, recorder)
            self.kept(key, lambda: context)

    async def prepare_identity(self, identity: ClientIdentity, recorder: Recorder, *, verify: bool) -> None:
        """Have `context` find that of *identity*. Raises DoorError for one that cannot be shown."""
        key = ("target", verify, identity.digest())
        await self.prepare(key, lambda: self._identified(identity, verify=verify), recorder)

    def _identified(self, identity: ClientIdentity, *, verify: bool) -> ssl.SSLContext:
        context = _context(ssl.TLSVersion.TLSv1_2, _CIPHERS) if verify else tolerant_context()
        show(identity, context)
        if verify:
            self.believe(context)
        else:
            accept_any_certificate(context)
        context.set_alpn_protocols(alpn.HTTP1)
        return context

    async def secure(
        self,
        stream: Stream,
        server_name: str,
        *,
        verify: bool,
        recorder: Recorder,
        identity: ClientIdentity | None = None,
        offer: alpn.Offer = alpn.HTTP1,
    ) -> SecureStream:
        """Shake hands over *stream*, making *offer* and showing *identity* if asked to. Raises OSError and DoorError; the stream
        is closed then, and when cancelled.
        """
        compared_here = verify and is_left_to_us(server_name)
        try:
            context = self.context(verify=verify, identity=identity)
            context.check_hostname = verify and not compared_here  # read once, when a session begins
            if offer != alpn.HTTP1:
                context.set_alpn_protocols(offer)  # as above, and the context is everybody's
            try:
                secured = SecureStream(stream, context, server_name, costly=identity is not None)
            finally:
                if offer != alpn.HTTP1:
                    context.set_alpn_protocols(alpn.HTTP1)
            await secured.shake_hands(recorder, self.aside)
            if compared_here:
                compare(secured.session.getpeercert() or {}, server_name)
        except BaseException:
            stream.close()
            raise
        return secured


def intake_context(ca_files: Iterable[Path], *, verify: bool) -> ssl.SSLContext:
    """Make a context for the control plane, which is not a target: Python's own cipher list. Raises as `TrustStore` does."""
    context = _context(ssl.TLSVersion.TLSv1_2)
    context.set_alpn_protocols(alpn.HTTP1)
    if verify:
        _believe(context, ca_files)
    else:
        accept_any_certificate(context)
    return context


def tolerant_context() -> ssl.SSLContext:
    """A context without authorities that speaks all versions from TLS 1.0 on, with ciphers, keys and signatures of any strength.

    MINIMUM_SUPPORTED is TLS 1.0, for no context of Python has SSL 3.
    """
    return _context(ssl.TLSVersion.MINIMUM_SUPPORTED, _ANY_CIPHERS)


def agreed(stream: SecureStream) -> Handshake | None:
    """The outcome of the handshake of *stream*; None before it."""
    cipher, protocol = stream.session.cipher(), stream.session.version()
    return None if cipher is None or protocol is None else Handshake(protocol=protocol, cipher=cipher[0])


def _context(minimum: ssl.TLSVersion, ciphers: str | None = None) -> ssl.SSLContext:
    """The same on every Python: `ssl.create_default_context` of 3.13 refuses what many internal authorities issue
    (VERIFY_X509_STRICT), so a test would pass or fail by the worker's Python. A certificate that was added as trusted is an
    anchor, be it a leaf or an intermediate one (VERIFY_X509_PARTIAL_CHAIN). Nobody negotiates twice: a peer could ask for it
    without end.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.minimum_version = minimum
    if ciphers is not None:
        context.set_ciphers(ciphers)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _believe(context: ssl.SSLContext, ca_files: Iterable[Path]) -> None:
    context.load_default_certs()
    for path in ca_files:
        context.load_verify_locations(cafile=path)


def accept_any_certificate(context: ssl.SSLContext) -> None:
    """Have *context* verify nothing."""
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

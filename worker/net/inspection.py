"""TLS handshakes that look at what a target shows: every certificate is kept, also where it is not accepted.

OpenSSL tells of each message of a handshake as it comes (`SSLContext._msg_callback`), the certificates of TLS 1.3 among them, so
one handshake both verifies a chain and yields it. Contexts made here speak every version from TLS 1.0 on, offer no application
protocol, and say by what they believe. Certificates are bytes here; nothing in them is read.
"""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

from msgspec import Struct

from worker.net.certificate_name import compare, is_left_to_us
from worker.net.door import Door, Endpoint
from worker.net.failure import of_handshake_error
from worker.net.identity import ClientIdentity, show
from worker.net.recorder import Recorder
from worker.net.stream import Stream
from worker.net.tls import SecureStream
from worker.net.trust import TrustStore, accept_any_certificate, agreed, tolerant_context
from worker.outcome.certificate import CertificateFault
from worker.outcome.failure import Failure
from worker.outcome.handshake import Handshake

MAX_CERTIFICATES: Final = 10
"""Of a chain, that are kept: public ones have up to four. OpenSSL itself takes 100 KiB in all."""
MAX_CERTIFICATE_BYTES: Final = 32 * 1024
"""Of one that is kept: a certificate with a thousand names has this size. A larger one is an empty entry."""
TRY_SECONDS: Final = 5.0
"""For one handshake that finds out a version: some servers say nothing at all to a version that they do not speak."""

_CERTIFICATE: Final = 11
"""The handshake message of that name (RFC 5246 §7.4.2, RFC 8446 §4.4.2)."""
_DER: Final = 2
"""`_ssl.ENCODING_DER`."""


class Aim(Struct, frozen=True, kw_only=True):
    """The server to look at. *server_name* is sent and looked for in the certificate, *identity* shown where it asks for one."""

    host: str
    port: int
    server_name: str
    identity: ClientIdentity | None = None


class Inspection(Struct, frozen=True, kw_only=True):
    """*presented* holds the certificates in DER, the target's own first; *verified* the chain from there to its anchor.

    *handshake* is None where it did not end: for a *fault* of the certificate, else for another *failure*.
    """

    presented: tuple[bytes, ...] = ()
    count: int = 0
    """Certificates that were presented, also those that are not kept."""
    verified: tuple[bytes, ...] = ()
    handshake: Handshake | None = None
    fault: CertificateFault | None = None
    failure: Failure | None = None


_TELLING: Final[Any] = ssl.SSLContext.__base__._msg_callback  # type: ignore[union-attr]  # noqa: SLF001


async def inspect(door: Door, aim: Aim, recorder: Recorder) -> Inspection:
    """Connect and shake hands, believing the worker's authorities; phases `dns`, `tcp`, `handshake`.

    Raises DoorError for what happens before the handshake, and for a name or an identity that cannot be used.
    """
    context = await _verifying(door.trust, aim.identity, recorder)
    stream = await door.open(Endpoint(host=aim.host, port=aim.port), recorder)
    try:
        recorder.start("handshake")
        return await _look(stream, context, aim, recorder, door)
    finally:
        recorder.stop()


async def inspect_again(door: Door, aim: Aim, first: Recorder, context: ssl.SSLContext) -> Inspection:
    """Shake hands with the address that *first* reached once more, believing what *context* does. Raises DoorError."""
    if aim.identity is not None:
        show(aim.identity, context)
    stream = await door.open_again(Endpoint(host=aim.host, port=aim.port), first)
    return await _look(stream, context, aim, first.detached(), door)


async def lowest_version(door: Door, aim: Aim, first: Recorder, agreed_protocol: str) -> str:
    """The lowest TLS version that the target accepts, by handshakes that offer one version each. Raises DoorError."""
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2):
        context = accepting_anything(version)
        try:
            async with first.limit(min(TRY_SECONDS, max(0.0, first.remaining()))):
                seen = await inspect_again(door, aim, first, context)
        except TimeoutError:
            continue
        if seen.handshake is not None:
            return seen.handshake.protocol
    return agreed_protocol


def accepting_anything(only: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A context that verifies nothing; one that speaks *only* that version where it is given."""
    context = _inspecting()
    accept_any_certificate(context)
    if only is not None:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # what is old is looked for
            context.minimum_version = context.maximum_version = only
    return context


def believing(certificates: Sequence[bytes]) -> ssl.SSLContext:
    """A context whose only anchors are these *certificates*. Names and dates are still verified."""
    context = _inspecting()
    _load(context, certificates)
    return context


def completed_by(trust: TrustStore, intermediates: Sequence[bytes]) -> ssl.SSLContext:
    """A context that believes what *trust* does and knows *intermediates*.

    OpenSSL makes an anchor of a self-signed one among them: the caller must look at the end of the verified chain.
    """
    context = _inspecting()
    trust.believe(context)
    context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    _load(context, intermediates)
    return context


async def _verifying(trust: TrustStore, identity: ClientIdentity | None, recorder: Recorder) -> ssl.SSLContext:
    def make() -> ssl.SSLContext:
        context = _inspecting()
        if identity is not None:
            show(identity, context)
        trust.believe(context)
        return context

    key = ("inspection", None if identity is None else identity.digest())
    await trust.prepare(key, make, recorder)
    return trust.kept(key, make)


def _inspecting() -> ssl.SSLContext:
    context = tolerant_context()
    # Python's only way to a chain that was refused; `tests/integration/net/test_inspection.py` pins it. The attribute of the base
    # class, because that of SSLContext makes three enumeration members of each of twenty messages.
    _TELLING.__set__(context, _heard)
    return context


def _load(context: ssl.SSLContext, certificates: Sequence[bytes]) -> None:
    """Those that OpenSSL cannot read are left out."""
    for certificate in filter(None, certificates):
        with suppress(ssl.SSLError):
            context.load_verify_locations(cadata=certificate)


_messages: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()
"""The Certificate message of each handshake under way or just ended."""


def _heard(session: Any, direction: str, _version: int, _record: int, message: int, data: bytes) -> None:
    if message == _CERTIFICATE and direction == "read":
        _messages[session] = data


async def _look(stream: Stream, context: ssl.SSLContext, aim: Aim, recorder: Recorder, door: Door) -> Inspection:
    """Shake hands over *stream* and close it. Nothing is sent after the handshake."""
    name = aim.server_name.removesuffix(".")
    verify = context.verify_mode is ssl.CERT_REQUIRED
    compared_here = verify and is_left_to_us(name)
    context.check_hostname = verify and not compared_here
    secured: SecureStream | None = None
    try:
        secured = SecureStream(stream, context, name, costly=aim.identity is not None)
        await secured.shake_hands(recorder, door.trust.aside)
        if compared_here:
            compare(secured.session.getpeercert() or {}, name)
    except OSError as error:
        presented, count = ((), 0) if secured is None else _presented(secured)
        return Inspection(
            presented=presented, count=count, fault=_fault(error), failure=of_handshake_error(error, name)
        )
    finally:
        stream.close()
    presented, count = _presented(secured)
    verified = _verified(secured) if verify else ()
    return Inspection(presented=presented, count=count, verified=verified, handshake=agreed(secured))


def _fault(error: OSError) -> CertificateFault | None:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return None
    return CertificateFault(code=error.verify_code, message=error.verify_message)


def _verified(secured: SecureStream) -> tuple[bytes, ...]:
    """Public in Python 3.13 as `SSLObject.get_verified_chain`; the same function in all versions."""
    chain = secured.session._sslobj.get_verified_chain() or ()  # type: ignore[attr-defined]  # noqa: SLF001
    return tuple(certificate.public_bytes(_DER) for certificate in chain)


def _presented(secured: SecureStream) -> tuple[tuple[bytes, ...], int]:
    """The certificates that are kept, and how many there were."""
    message = _messages.pop(secured.session, b"")
    found = certificates_of(message)
    kept = (each if len(each) <= MAX_CERTIFICATE_BYTES else b"" for each in found[:MAX_CERTIFICATES])
    return tuple(kept), len(found)


def certificates_of(message: bytes) -> list[bytes]:
    """The entries of a Certificate message, its header included; as many as are whole.

    In TLS 1.3 a context, which is empty in an answer to a client, comes before the list, and extensions after each entry.
    Which of the two forms it is shows in the lengths: the list takes all that is left.
    """
    body = message[4:]
    before = int.from_bytes(body[:3], "big") != len(body) - 3
    at, end = (4, len(body)) if before else (3, len(body))
    found: list[bytes] = []
    while at + 3 <= end:
        stop = at + 3 + int.from_bytes(body[at : at + 3], "big")
        if stop > end:
            break
        found.append(body[at + 3 : stop])
        at = stop + (2 + int.from_bytes(body[stop : stop + 2], "big") if before else 0)
    return found

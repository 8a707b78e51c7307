"""The certificate that a listener shows: read with one line for each mistake, and read again when its files change.

A connection is given the newest certificate at its handshake, so a renewal closes none. Files that cannot be used never replace
those that can: the old certificate stays, and the log and a metric say so. Asks for no passphrase.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from worker.clock import Clock
from worker.errors import SyntheticsError

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""Between looks at the files: two small reads, and soon enough for whoever has replaced them and watches."""
REMIND_NS = 24 * 3600 * 1_000_000_000
"""Nanoseconds between warnings of one certificate's end."""
WARN_BEFORE = timedelta(days=14)
"""Let's Encrypt's clients renew thirty days before the end: with fourteen left, something has not worked for two weeks."""
WARN_PART = 4
"""Certificates of a few days are warned of in the last quarter of their time instead."""
MAX_FILE_BYTES = 1024 * 1024
"""As for the worker's files: a hundred times what a chain needs."""

_DER = b"\x30"
"""The first octet of every DER certificate and key: SEQUENCE (X.690 §8.9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """A certificate chain in PEM, and its key where that has a file of its own; and the options that name them."""

    cert: Path
    key: Path | None = None
    cert_option: str
    key_option: str


class CertificateError(SyntheticsError):
    """A file of a certificate that cannot be used as it is: *option* names it."""

    def __init__(self, option: str, path: Path, reason: str) -> None:
        self.option = option
        self.path = path
        self.reason = reason
        super().__init__(f"{option} {path}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCertificate:
    """The content of the files. *content* are their bytes, to compare with."""

    context: ssl.SSLContext
    content: tuple[bytes, bytes]
    not_before: datetime
    not_after: datetime

    def ends_soon(self, now: datetime) -> bool:
        return self.not_after - now < min(WARN_BEFORE, (self.not_after - self.not_before) / WARN_PART)


def read(files: CertificateFiles) -> ReadCertificate:
    """Read and check both files. Raises CertificateError, which names the file at fault and the cure."""
    cert, key = content = _content(files)
    leaf = _leaf(files, cert)
    if _public_key(files, key) != leaf.public_key():
        raise _unusable_key(files, f"is not the key of the first certificate in {files.cert}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(files.cert, files.key, password=lambda: "")  # OpenSSL asks the terminal otherwise
    except OSError as error:  # ssl.SSLError is one
        raise CertificateError(files.cert_option, files.cert, error.strerror or str(error)) from error
    return ReadCertificate(
        context=context, content=content, not_before=leaf.not_valid_before_utc, not_after=leaf.not_valid_after_utc
    )


def _content(files: CertificateFiles) -> tuple[bytes, bytes]:
    cert = _bytes(files.cert_option, files.cert)
    return cert, cert if files.key is None else _bytes(files.key_option, files.key)


def _bytes(option: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise CertificateError(option, path, error.strerror or str(error)) from error


def _leaf(files: CertificateFiles, data: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(data)[0]
    except ValueError as error:
        reason = "holds no certificate in PEM"
        if data.startswith(_DER):
            reason = f"is DER, not PEM: openssl x509 -inform der -in {files.cert} -out cert.pem"
        raise CertificateError(files.cert_option, files.cert, reason) from error


def _public_key(files: CertificateFiles, data: bytes) -> PublicKeyTypes:
    try:
        return serialization.load_pem_private_key(data, None).public_key()
    except TypeError as error:
        reason = "the key has a passphrase, which nobody could type when the service starts:"
        raise _unusable_key(files, f"{reason} openssl pkey -in {files.key or files.cert} -out key.pem") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        reason = "holds no private key in PEM"
        if files.key is None:
            reason += f"; name the file that does with {files.key_option}"
        elif data.startswith(_DER):
            reason = f"is DER, not PEM: openssl pkey -inform der -in {files.key} -out key.pem"
        raise _unusable_key(files, reason) from error


def _unusable_key(files: CertificateFiles, reason: str) -> CertificateError:
    if files.key is None:
        return CertificateError(files.cert_option, files.cert, reason)
    return CertificateError(files.key_option, files.key, reason)


class ServedCertificate:
    """The certificate of the moment. *context* is for the listener, for as long as that lives."""

    def __init__(self, files: CertificateFiles, clock: Clock) -> None:
        """Read the files. Raises CertificateError."""
        self._files = files
        self._clock = clock
        self._newest = read(files)
        self._mistake = ""
        self._reminded: int | None = None
        self.context = self._newest.context
        self.context.sni_callback = self._choose  # called at every handshake, also where no name was sent
        self.remind()

    @property
    def not_after(self) -> datetime:
        return self._newest.not_after

    def ends_soon(self, now: datetime) -> bool:
        """True where it must be renewed, or should have been."""
        return self._newest.ends_soon(now)

    @property
    def current(self) -> bool:
        """False while the files cannot be used, and what they held before is shown."""
        return not self._mistake

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._newest.context

    async def follow(self) -> None:
        """Look at the files for ever."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Show what the files hold now, if it can be used."""
        try:
            if _content(self._files) != self._newest.content:
                self._replace()
            elif self._mistake:
                self._mistake = ""
                log.info("the certificate's files are as they were", extra={"action": "certificate_reloaded"})
        except CertificateError as error:
            self._complain(str(error))
        self.remind()

    def _replace(self) -> None:
        self._newest = read(self._files)
        self._mistake = ""
        self._reminded = None
        until = f"{self.not_after:%Y-%m-%d %H:%M} UTC"
        log.info("a new certificate, valid until %s", until, extra={"action": "certificate_reloaded"})

    def _complain(self, mistake: str) -> None:
        """Log once for each mistake: files may be replaced one after the other, or stay wrong for days."""
        if mistake != self._mistake:
            self._mistake = mistake
            log.error("the certificate stays as it is: %s", mistake, extra={"action": "certificate_unusable"})

    def remind(self) -> None:
        """Warn where the certificate's end is near, once a day."""
        now, moment = self._clock.now(), self._clock.monotonic_ns()
        reminded = self._reminded is not None and moment - self._reminded < REMIND_NS
        if reminded or not self._newest.ends_soon(now):
            return
        self._reminded = moment
        level, verb = (logging.ERROR, "expired") if self.not_after <= now else (logging.WARNING, "expires")
        log.log(
            level,
            "the certificate in %s %s at %s UTC; clients refuse it from then on",
            self._files.cert,
            verb,
            f"{self.not_after:%Y-%m-%d %H:%M}",
            extra={"action": "certificate_expires"},
        )

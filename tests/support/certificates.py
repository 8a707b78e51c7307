"""Certificates with whatever a test needs in them: chains of any length, places to ask, dates, and answers about their status."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)

_serials = itertools.count(0x1001)


@dataclass(frozen=True)
class Issued:
    """A certificate, its key, and whatever stands between it and its root (nearest first, the root excluded)."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def write(self, path: Path, *chain: Issued) -> Path:
        """The key, the certificate and *chain* in one new file."""
        path.write_text(self.key_pem + self.pem + "".join(each.pem for each in chain))
        return path

    def serving(self, path: Path, *chain: Issued) -> ssl.SSLContext:
        """A server's context that shows the certificate and *chain*; *path* is where its file is written."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.write(path, *chain))
        return context


def issue(
    subject: str,
    by: Issued | None = None,
    *,
    names: Iterable[str] = (),
    ca: bool = False,
    begins: timedelta = -DAY,
    ends: timedelta = 30 * DAY,
    responder: str | None = None,
    issuers: str | None = None,
    signs_answers: bool = False,
    rsa_bits: int | None = None,
    issuer_name: str | None = None,
    serial: int | None = None,
    extensions: Iterable[x509.ExtensionType] = (),
) -> Issued:
    """A new certificate, self-signed unless issued *by* another one. *begins* and *ends* are counted from now.

    *issuer_name* is what a self-signed one calls its issuer, where that is not spelt as its own name is.
    """
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    key = ec.generate_private_key(ec.SECP256R1()) if rsa_bits is None else rsa.generate_private_key(65537, rsa_bits)
    name = _name(subject)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(_name(issuer_name or subject) if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(serial or next(_serials))
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    for extension in (*extensions, *_extensions(names, responder, issuers, signs_answers)):
        builder = builder.add_extension(extension, critical=False)
    signing = key if by is None else by.key
    return Issued(builder.sign(signing, hashes.SHA256()), key)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Shop"), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )


def _extensions(
    names: Iterable[str], responder: str | None, issuers: str | None, signs_answers: bool
) -> Iterable[x509.ExtensionType]:
    general = [_general_name(name) for name in names]
    if general:
        yield x509.SubjectAlternativeName(general)
    access = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, url in (
            (AuthorityInformationAccessOID.OCSP, responder),
            (AuthorityInformationAccessOID.CA_ISSUERS, issuers),
        )
        if url is not None
    ]
    if access:
        yield x509.AuthorityInformationAccess(access)
    if signs_answers:
        yield x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def answer(
    about: Issued,
    issuer: Issued,
    *,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    signer: Issued | None = None,
    this_update: timedelta = -timedelta(minutes=1),
    next_update: timedelta | None = DAY,
    nonce: bytes | None = None,
) -> bytes:
    """A signed answer about a certificate; *signer* is a delegate of the issuer's, whose certificate goes with it."""
    now = datetime.now(UTC)
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    signing = signer or issuer
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=about.certificate,
            issuer=issuer.certificate,
            algorithm=hashes.SHA1(),
            cert_status=status,
            this_update=now + this_update,
            next_update=None if next_update is None else now + next_update,
            revocation_time=now - 3 * DAY if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, signing.certificate)
    )
    if signer is not None:
        builder = builder.certificates([signer.certificate])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.sign(signing.key, hashes.SHA256()).public_bytes(Encoding.DER)

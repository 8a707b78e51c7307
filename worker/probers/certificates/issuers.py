"""Certificates as `cryptography` reads them: who issued one, and the places that it names for asking about it. Pure.

Certificates are untrusted: what cannot be read is None, nobody's issuer and names no place, and keys with which verifying would
take long are not used.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from itertools import islice
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.extensions import ExtensionNotFound
from cryptography.x509.oid import AuthorityInformationAccessOID as Method

MAX_URLS: Final = 2
"""Of one kind that are tried; a second one is rare."""
MAX_URL: Final = 2000
"""Characters of one; longer ones are not used."""
MAX_READ_BYTES: Final = 16 * 1024
"""Of a certificate that is asked about: a larger one has names that take longer to read than the event loop may be held."""
MAX_ISSUER_BYTES: Final = 8 * 1024
"""Of an issuer's; they have no names but their own, and take two KiB."""
MAX_ISSUERS: Final = 3
"""Certificates with the name of an issuer that are tried as one."""
MAX_RSA_BITS: Final = 8192
MAX_RSA_EXPONENT: Final = 1 << 33
"""Of a key with which a signature is verified."""

CANNOT_BE_READ: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
)
"""Raised by `cryptography` for what is not a certificate, an answer, or an extension of one."""


def read_certificate(der: bytes) -> x509.Certificate | None:
    """The certificate in *der*; None where it cannot be read, or not in a moment."""
    if len(der) > MAX_READ_BYTES:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            return x509.load_der_x509_certificate(der)
    except CANNOT_BE_READ:
        return None


def read_issuer(der: bytes) -> x509.Certificate | None:
    """An issuer's certificate, which is small."""
    return read_certificate(der) if len(der) <= MAX_ISSUER_BYTES else None


def responders(certificate: x509.Certificate) -> tuple[str, ...]:
    """URLs of those who know the status of *certificate*."""
    return _urls(certificate, Method.OCSP)


def issuer_places(certificate: x509.Certificate) -> tuple[str, ...]:
    """URLs of the certificate of who issued *certificate*."""
    return _urls(certificate, Method.CA_ISSUERS)


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """True where *issuer* is named in *certificate* and has signed it."""
    try:
        if certificate.issuer != issuer.subject or not is_ordinary(issuer.public_key()):
            return False
        certificate.verify_directly_issued_by(issuer)
    except (*CANNOT_BE_READ, InvalidSignature):
        return False
    return True


def is_ordinary(key: object) -> bool:
    """False for an RSA key with which verifying takes much longer than a millisecond: a target may have made it."""
    return not isinstance(key, rsa.RSAPublicKey) or (
        key.key_size <= MAX_RSA_BITS and key.public_numbers().e <= MAX_RSA_EXPONENT
    )


def issuer_among(certificate: x509.Certificate, candidates: Iterable[bytes]) -> x509.Certificate | None:
    """The first of *candidates* (DER) that issued *certificate*; few of that name are tried."""
    read = (read_issuer(each) for each in candidates)
    named = (each for each in read if each is not None and is_named_by(certificate, each))
    return next((each for each in islice(named, MAX_ISSUERS) if is_issued_by(certificate, each)), None)


def is_named_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """True where *issuer* has the name that *certificate* says its issuer has."""
    try:
        return certificate.issuer == issuer.subject
    except CANNOT_BE_READ:
        return False


def _urls(certificate: x509.Certificate, method: x509.ObjectIdentifier) -> tuple[str, ...]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (*CANNOT_BE_READ, ExtensionNotFound):
        return ()
    places = (each.access_location for each in access if each.access_method == method)
    urls = (place.value for place in places if isinstance(place, x509.UniformResourceIdentifier))
    return tuple(url for url in urls if len(url) <= MAX_URL and url.startswith(("http://", "https://")))[:MAX_URLS]

"""Names of certificates that OpenSSL does not compare as others do: an underscore in the label under a wildcard.

`*.example.org` covers `a_b.example.org` for Node, curl and browsers; in OpenSSL a wildcard stands for letters, digits and hyphens
only. Every other name is left to OpenSSL. The chain has been verified before anything here is asked.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

_HOSTNAME_MISMATCH = 62
"""X509_V_ERR_HOSTNAME_MISMATCH of x509_vfy.h."""


def is_left_to_us(name: str) -> bool:
    """True for a name whose first label, for which a wildcard may stand, holds an underscore."""
    return "_" in name.partition(".")[0]


def compare(certificate: Mapping[str, Any], name: str) -> None:
    """Look for *name* in *certificate*, as `getpeercert` returns it. Raises ssl.SSLCertVerificationError."""
    if any(covers(pattern, name) for pattern in _names(certificate)):
        return
    reason = f"Hostname mismatch, certificate is not valid for '{name}'."
    error = ssl.SSLCertVerificationError(1, reason)
    error.verify_code, error.verify_message = _HOSTNAME_MISMATCH, reason
    raise error


def covers(pattern: str, name: str) -> bool:
    """True when the DNS name *pattern* of a certificate is *name*, or its wildcard stands for the first label (RFC 9525 §6.3).

    A wildcard is a whole label, has two labels behind it at least, and stands for one.
    """
    pattern, name = pattern.lower(), name.lower()
    star, _, parent = pattern.partition(".")
    return pattern == name or (star == "*" and "." in parent and name.partition(".")[2] == parent)


def _names(certificate: Mapping[str, Any]) -> list[str]:
    """The DNS names; the common name only where there are none, as OpenSSL has it."""
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    subject = (pair for part in certificate.get("subject", ()) for pair in part)
    return names or [value for kind, value in subject if kind == "commonName"]

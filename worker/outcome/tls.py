"""Sentences on TLS handshakes that failed: what was seen, and the cure. For targets, proxies and the control plane alike."""

from __future__ import annotations

_NAMES = {
    2: "UNABLE_TO_GET_ISSUER_CERT",
    3: "UNABLE_TO_GET_CRL",
    4: "UNABLE_TO_DECRYPT_CERT_SIGNATURE",
    5: "UNABLE_TO_DECRYPT_CRL_SIGNATURE",
    6: "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY",
    7: "CERT_SIGNATURE_FAILURE",
    8: "CRL_SIGNATURE_FAILURE",
    9: "CERT_NOT_YET_VALID",
    10: "CERT_HAS_EXPIRED",
    11: "CRL_NOT_YET_VALID",
    12: "CRL_HAS_EXPIRED",
    13: "ERROR_IN_CERT_NOT_BEFORE_FIELD",
    14: "ERROR_IN_CERT_NOT_AFTER_FIELD",
    15: "ERROR_IN_CRL_LAST_UPDATE_FIELD",
    16: "ERROR_IN_CRL_NEXT_UPDATE_FIELD",
    17: "OUT_OF_MEM",
    18: "DEPTH_ZERO_SELF_SIGNED_CERT",
    19: "SELF_SIGNED_CERT_IN_CHAIN",
    20: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    21: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    22: "CERT_CHAIN_TOO_LONG",
    23: "CERT_REVOKED",
    24: "INVALID_CA",
    25: "PATH_LENGTH_EXCEEDED",
    26: "INVALID_PURPOSE",
    27: "CERT_UNTRUSTED",
    28: "CERT_REJECTED",
    62: "HOSTNAME_MISMATCH",
    64: "IP_ADDRESS_MISMATCH",
}
"""OpenSSL's X509_V_ERR_* by number (x509_vfy.h), under the names that the reference system documents."""

_UNKNOWN_ISSUER = "; if the issuer is an internal one, add its certificate with caFile"
_OTHER_NAME = "; ask for it under a name that its certificate bears, or give it one for this name"
_CURES = {
    9: "; it is not valid before a later time: is this machine's clock behind?",
    10: "; it has ended and needs to be renewed there, or this machine's clock is ahead",
    **dict.fromkeys((18, 19, 20, 21), _UNKNOWN_ISSUER),
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}

_NO_PROTOCOL = ": the peer speaks none of the HTTP versions that it was offered"
_HINTS = {
    "WRONG_VERSION_NUMBER": ": the peer does not seem to speak TLS on this port",
    "UNSUPPORTED_PROTOCOL": ": the peer offers only TLS versions that are too old",
    "TLSV1_ALERT_PROTOCOL_VERSION": ": the peer accepts none of our TLS versions",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": ": the peer accepts none of our offers",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": _NO_PROTOCOL,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": ": the peer demands a client certificate",
}
"""By OpenSSL's name of the reason."""


def certificate_fault(verify_code: int, verify_message: str, peer: str) -> str:
    """A certificate that was not accepted, by OpenSSL's code and message; *peer* is the name that it should bear."""
    name, cure = fault_name(verify_code), _CURES.get(verify_code, "")
    return f"the certificate of {peer} is not accepted ({name}): {verify_message.rstrip('.')}{cure}"


def fault_name(verify_code: int) -> str:
    """The documented name of OpenSSL's *verify_code*; one made of its number where there is none."""
    return _NAMES.get(verify_code, f"X509_V_ERR_{verify_code}")


def handshake_fault(reason: str, peer: str) -> str:
    """Any other trouble; *reason* is OpenSSL's name for it."""
    return f"the TLS handshake with {peer} failed ({reason}){hint(reason)}"


def hint(reason: str) -> str:
    """The likely meaning of *reason*, as the end of a sentence; nothing where it says enough."""
    return _HINTS.get(reason, "")

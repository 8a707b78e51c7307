"""Errors of kernels and TLS as failure codes: no foreign exception is without one, and our own trouble blames nobody else."""

from __future__ import annotations

import errno
import ssl

import pytest

from worker.net.failure import of_broken_connection, of_handshake_error, of_os_error, out_of_time
from worker.outcome.failure import FailureCode


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ECONNREFUSED, FailureCode.CONNREFUSED), (errno.ECONNRESET, FailureCode.CONNRESET),
        (errno.EPIPE, FailureCode.CONNRESET), (errno.EHOSTUNREACH, FailureCode.HOSTUNREACH),
        (errno.EHOSTDOWN, FailureCode.HOSTUNREACH), (errno.ENETUNREACH, FailureCode.NETUNREACH),
        (errno.ENETDOWN, FailureCode.NETUNREACH), (errno.ETIMEDOUT, FailureCode.TIMEOUT),
        (errno.EAFNOSUPPORT, FailureCode.NETUNREACH), (errno.EMFILE, FailureCode.INTERNAL_ERROR),
        (errno.ENFILE, FailureCode.INTERNAL_ERROR), (errno.ENOBUFS, FailureCode.INTERNAL_ERROR),
        (errno.ENOMEM, FailureCode.INTERNAL_ERROR), (errno.EADDRNOTAVAIL, FailureCode.INTERNAL_ERROR),
        (errno.EACCES, FailureCode.INTERNAL_ERROR), (errno.EPERM, FailureCode.INTERNAL_ERROR),
        (errno.EPROTO, FailureCode.UNKNOWN),
    ],
)  # fmt: skip
def test_each_error_of_the_kernel_has_its_code(number: int, code: FailureCode) -> None:
    failure = of_os_error(OSError(number, "as the kernel says"), "192.0.2.1:443")
    assert failure.code is code
    assert failure.message.startswith("192.0.2.1:443: ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(), FailureCode.TIMEOUT),
        (ConnectionResetError(), FailureCode.CONNRESET),
        (ConnectionError("lost"), FailureCode.CONNRESET),
        (OSError("no number at all"), FailureCode.UNKNOWN),
    ],
)
def test_errors_without_a_number_are_known_by_their_kind(error: OSError, code: FailureCode) -> None:
    assert of_os_error(error, "peer").code is code


def verification_error(code: int, text: str = "some text") -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, text
    return error


DOCUMENTED = {
    "CERT_CHAIN_TOO_LONG", "CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID", "CERT_REJECTED", "CERT_REVOKED", "CERT_UNTRUSTED",
    "CERT_SIGNATURE_FAILURE", "CRL_HAS_EXPIRED", "CRL_NOT_YET_VALID", "CRL_SIGNATURE_FAILURE", "DEPTH_ZERO_SELF_SIGNED_CERT",
    "ERROR_IN_CERT_NOT_AFTER_FIELD", "ERROR_IN_CERT_NOT_BEFORE_FIELD", "ERROR_IN_CRL_LAST_UPDATE_FIELD",
    "ERROR_IN_CRL_NEXT_UPDATE_FIELD", "INVALID_CA", "INVALID_PURPOSE", "OUT_OF_MEM", "PATH_LENGTH_EXCEEDED",
    "SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY", "UNABLE_TO_DECRYPT_CERT_SIGNATURE",
    "UNABLE_TO_DECRYPT_CRL_SIGNATURE", "UNABLE_TO_GET_CRL", "UNABLE_TO_GET_ISSUER_CERT", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
}  # fmt: skip
"""The reasons that the reference system documents for SSL."""


def test_every_documented_reason_can_be_given() -> None:
    given = {
        of_handshake_error(verification_error(code), "example.org").message.split("(")[1].split(")")[0]
        for code in range(80)
    }
    assert given >= DOCUMENTED


@pytest.mark.parametrize(("code", "cure"), [(20, True), (18, True), (10, False)])
def test_an_unknown_authority_comes_with_the_cure(code: int, cure: bool) -> None:
    failure = of_handshake_error(verification_error(code), "example.org")
    assert failure.code is FailureCode.SSL
    assert ("caFile" in failure.message) is cure


def test_a_reason_that_is_not_known_keeps_its_number() -> None:
    assert "(X509_V_ERR_79)" in of_handshake_error(verification_error(79), "example.org").message


def test_trouble_of_the_machine_during_a_handshake_stays_its_own() -> None:
    assert of_handshake_error(OSError(errno.ENOMEM, ""), "example.org").code is FailureCode.INTERNAL_ERROR
    assert of_handshake_error(TimeoutError(), "example.org").code is FailureCode.TIMEOUT


@pytest.mark.parametrize(
    ("phase", "missing"),
    [
        ("dns", "the answer of the name servers"),
        ("tcp", "the connection to be accepted"),
        ("proxy", "the tunnel through the proxy"),
        ("ssl", "the TLS handshake to end"),
        ("handshake", "the TLS handshake to end"),
        (None, "the connection"),
    ],
)
def test_a_time_out_says_what_did_not_come(phase: str | None, missing: str) -> None:
    failure = out_of_time(2.5, phase)
    assert (failure.code, failure.message) == (FailureCode.TIMEOUT, f"no answer within 2.5 s, waiting for {missing}")


def test_a_broken_connection_is_the_peers_doing_or_a_bug_of_ours() -> None:
    assert of_broken_connection(ConnectionResetError(), "the first byte").code is FailureCode.CONNRESET
    assert of_broken_connection(ssl.SSLError(1, "x"), "the first byte").code is FailureCode.SSL
    assert of_broken_connection(ValueError("x"), "the first byte").code is FailureCode.INTERNAL_ERROR


def test_a_reason_that_pythons_table_lacks_is_named_by_openssls_words() -> None:
    error = ssl.SSLError(1, "[SSL] tlsv1 alert no application protocol (_ssl.c:1006)")
    message = of_handshake_error(error, "shop.test").message
    assert "(TLSV1_ALERT_NO_APPLICATION_PROTOCOL): the peer speaks none of the HTTP versions" in message
    assert "(UNKNOWN)" in of_handshake_error(ssl.SSLError(1, "something else"), "shop.test").message

"""Answers about a certificate's status: what counts, and what proves nothing. They are made by `cryptography`'s builder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from tests.support.certificates import DAY, Issued, answer, issue
from worker.outcome.revocation import CertificateStatus, Revocation, StatusSource
from worker.probers.certificates.ocsp import question, status_of

ROOT = issue("Root", ca=True)
LEAF = issue("shop", ROOT)
OTHER = issue("other", ROOT)
NONCE = b"0123456789abcdef"
MINUTE = timedelta(minutes=1)


def status(body: bytes, *, nonce: bytes | None = None, about: Issued = LEAF, issuer: Issued = ROOT) -> Revocation:
    return status_of(
        body,
        about.certificate,
        issuer.certificate,
        now=datetime.now(UTC).timestamp(),
        source=StatusSource.RESPONDER,
        nonce=nonce,
        responder="http://ocsp.test/",
    )


def unknown(body: bytes, **asked: Any) -> str:
    """The reason why *body* proves nothing."""
    found = status(body, **asked)
    assert found.status is CertificateStatus.UNKNOWN
    assert (found.source, found.responder) == (StatusSource.RESPONDER, "http://ocsp.test/")
    assert found.reason is not None
    return found.reason


def test_a_good_certificate_is_told_with_the_times_of_the_answer() -> None:
    found = status(answer(LEAF, ROOT))
    assert (found.status, found.reason, found.revoked_at) == (CertificateStatus.GOOD, None, None)
    assert found.this_update is not None
    assert found.next_update is not None
    assert found.next_update - found.this_update == 86_400 + 60
    assert found.serial_number == f"{LEAF.certificate.serial_number:X}"


def test_a_revoked_certificate_is_told_with_when_and_why() -> None:
    found = status(answer(LEAF, ROOT, status=ocsp.OCSPCertStatus.REVOKED))
    assert (found.status, found.revocation_reason) == (CertificateStatus.REVOKED, "keyCompromise")
    assert found.revoked_at is not None
    assert found.as_json()["certificate"]["revocation_time"] == found.revoked_at * 1000


def test_a_responder_may_not_know_the_certificate() -> None:
    assert (
        unknown(answer(LEAF, ROOT, status=ocsp.OCSPCertStatus.UNKNOWN))
        == "the responder does not know this certificate"
    )


def test_a_delegate_of_the_issuer_may_sign_and_nobody_else() -> None:
    delegate = issue("responder", ROOT, signs_answers=True)
    assert status(answer(LEAF, ROOT, signer=delegate)).status is CertificateStatus.GOOD
    foreign = issue("Foreign", ca=True)
    reason = "the answer is not signed by the issuer or by a responder of its own"
    for signer in (
        issue("plain", ROOT),
        issue("responder", foreign, signs_answers=True),
        issue("responder", ROOT, signs_answers=True, begins=-3 * DAY, ends=-DAY),
        issue("responder", ROOT, signs_answers=True, begins=DAY),
        foreign,
    ):
        assert unknown(answer(LEAF, ROOT, signer=signer)) == reason


def test_rsa_signatures_count_too() -> None:
    root = issue("Root", ca=True, rsa_bits=2048)
    leaf = issue("shop", root)
    assert status(answer(leaf, root), about=leaf, issuer=root).status is CertificateStatus.GOOD


def test_an_answer_about_another_certificate_proves_nothing() -> None:
    assert unknown(answer(OTHER, ROOT)) == "the answer is not about this certificate"
    twin = issue("Root", ca=True)
    forged = answer(LEAF, twin)
    assert unknown(forged) == "the answer is not signed by the issuer or by a responder of its own"


@pytest.mark.parametrize(
    ("this_update", "next_update", "reason"),
    [
        (-2 * DAY, -DAY, "the answer is out of date"),
        (-2 * DAY, -10 * MINUTE, "the answer is out of date"),
        (-8 * DAY, None, "the answer is out of date"),
        (10 * MINUTE, DAY, "the answer is from the future, or this machine's clock is behind"),
        (-2 * DAY, -MINUTE, None),
        (-6 * DAY, None, None),
        (MINUTE, DAY, None),
    ],
)
def test_an_answer_has_its_time(this_update: timedelta, next_update: timedelta | None, reason: str | None) -> None:
    body = answer(LEAF, ROOT, this_update=this_update, next_update=next_update)
    if reason is None:
        assert status(body).status is CertificateStatus.GOOD
    else:
        assert unknown(body) == reason


def test_another_nonce_is_another_question_and_none_is_an_answer_made_ahead() -> None:
    assert status(answer(LEAF, ROOT, nonce=NONCE), nonce=NONCE).status is CertificateStatus.GOOD
    assert status(answer(LEAF, ROOT), nonce=NONCE).status is CertificateStatus.GOOD
    assert unknown(answer(LEAF, ROOT, nonce=b"x" * 16), nonce=NONCE) == "the answer is to another question"


def test_a_refusal_to_answer_has_its_name() -> None:
    refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    assert unknown(refusal.public_bytes(Encoding.DER)) == "the responder refuses to answer (try_later)"


def test_a_question_names_the_certificate_and_bears_the_nonce() -> None:
    asked = ocsp.load_der_ocsp_request(question(LEAF.certificate, ROOT.certificate, NONCE))
    assert asked.serial_number == LEAF.certificate.serial_number
    assert asked.extensions[0].value.public_bytes()[-16:] == NONCE


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\x30\x03\x0a\x01\x09", b"\x30\x80" * 5000, LEAF.der, b"\x30" + b"\xff" * 100]
)
def test_what_is_not_an_answer_proves_nothing(body: bytes) -> None:
    assert unknown(body).startswith(("the answer cannot be read", "the responder refuses"))


GOOD = answer(LEAF, ROOT, signer=issue("responder", ROOT, signs_answers=True))


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_changed_byte_changes_a_good_answer_into_another_one(at: int, by: int) -> None:
    """What is signed cannot be changed; what is not (the certificate's own signature, …) makes it count or not."""
    changed = bytearray(GOOD)
    changed[at] ^= by
    found = status(bytes(changed))
    assert found.status in (CertificateStatus.GOOD, CertificateStatus.UNKNOWN)


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_raise_nothing(body: bytes) -> None:
    assert status(GOOD[: len(body)] + body).status is CertificateStatus.UNKNOWN

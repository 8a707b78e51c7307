"""What is read as a key, what it is called, and what is refused without being quoted."""

from __future__ import annotations

import base64
import hashlib
from typing import Literal

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from worker.errors import EnvelopeError
from worker.wire import keys
from worker.wire.keys import PrivateKey, PublicKey


def pkcs1(key: PrivateKey) -> str:
    loaded = load_pem_private_key(key.pem.reveal().encode(), None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def pkcs8(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_a_key_survives_its_pem(key: PrivateKey) -> None:
    assert PrivateKey.from_pem(key.pem.reveal()) == key
    assert PublicKey.from_pem(key.public.pem) == key.public
    assert key.pem.reveal().startswith("-----BEGIN PRIVATE KEY-----\n")
    assert key.public.pem.startswith("-----BEGIN PUBLIC KEY-----\n")


@pytest.mark.parametrize(("kind", "made"), [("rsa4096", "rsa"), ("x25519", "x25519")])
def test_a_made_key_is_of_the_kind_asked_for(kind: Literal["rsa4096", "x25519"], made: str) -> None:
    key = keys.generate(kind)
    loaded = load_pem_private_key(key.pem.reveal().encode(), None)
    assert key.kind == made
    assert getattr(loaded, "key_size", 4096) == 4096
    assert keys.generate("x25519").kid != key.kid


def test_the_reference_systems_form_of_an_rsa_key_is_read(rsa_key: PrivateKey) -> None:
    pem = pkcs1(rsa_key)
    assert pem.startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert PrivateKey.from_pem(pem.rstrip("\n")) == rsa_key


def test_a_kid_is_the_fingerprint_of_the_public_half(key: PrivateKey) -> None:
    spki = load_pem_public_key(key.public.pem.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = base64.b64encode(hashlib.sha256(spki).digest()).decode()
    assert key.kid == key.public.kid == f"sha256$base64${digest}"


def test_a_foreign_kid_is_used_verbatim(key: PrivateKey) -> None:
    assert PublicKey.from_pem(key.public.pem, "sha256$base64$whatever=").kid == "sha256$base64$whatever="


@pytest.mark.parametrize("kid", ["", "a b", "a\nb", "ü", "k" * 201])
def test_a_kid_that_cannot_stand_in_a_header_is_refused(key: PrivateKey, kid: str) -> None:
    with pytest.raises(EnvelopeError, match="fingerprint"):
        PublicKey.from_pem(key.public.pem, kid)


@pytest.mark.parametrize(
    ("old", "new"), [("\n", "\\n"), ("\n", "\\r\\n"), ("\n", "\r\n"), ("\n", " "), ("\n", "\n\n  ")]
)
def test_a_pem_that_lost_its_line_breaks_is_read(key: PrivateKey, old: str, new: str) -> None:
    assert PrivateKey.from_pem(key.pem.reveal().replace(old, new)) == key
    assert PublicKey.from_pem(f"  {key.public.pem.replace(old, new)}\n") == key.public


def test_a_key_of_another_kind_is_refused() -> None:
    for other in (ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()):
        public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        with pytest.raises(EnvelopeError, match="neither RSA nor X25519"):
            PrivateKey.from_pem(pkcs8(other))
        with pytest.raises(EnvelopeError, match="neither RSA nor X25519"):
            PublicKey.from_pem(public)


def test_a_small_rsa_key_is_refused_with_its_size() -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    public = small.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(EnvelopeError, match="this one has 1024"):
        PrivateKey.from_pem(pkcs8(small))
    with pytest.raises(EnvelopeError, match="this one has 1024"):
        PublicKey.from_pem(public)


def test_a_huge_rsa_key_is_refused_with_its_size() -> None:
    huge = rsa.RSAPublicNumbers(e=65537, n=2**16383 + 1).public_key()
    with pytest.raises(EnvelopeError, match="this one has 16384"):
        PublicKey.from_pem(huge.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def test_the_halves_are_not_mistaken_for_each_other(key: PrivateKey) -> None:
    with pytest.raises(
        EnvelopeError, match="expected BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY, found BEGIN PUBLIC KEY"
    ):
        PrivateKey.from_pem(key.public.pem)
    with pytest.raises(EnvelopeError, match="expected BEGIN PUBLIC KEY, found BEGIN PRIVATE KEY"):
        PublicKey.from_pem(key.pem.reveal())


def test_a_key_behind_a_passphrase_is_refused(rsa_key: PrivateKey) -> None:
    loaded = load_pem_private_key(rsa_key.pem.reveal().encode(), None)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        pem = loaded.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"x")).decode()
        with pytest.raises(EnvelopeError, match="passphrase"):
            PrivateKey.from_pem(pem)


def test_what_is_wrong_with_a_key_is_said_without_the_key(key: PrivateKey) -> None:
    pem = key.pem.reveal()
    body = "".join(pem.splitlines()[1:-1])
    broken = {
        "found 0": body,
        "found 2": pem + pem,
        "BEGIN and END": pem.replace("END PRIVATE", "END RSA PRIVATE"),
        "not base64": pem.replace(body[:20], body[:19] + "!"),
        "malformed": pem.replace(body[:4], "AAAA"),
        "at most": pem + " " * keys.MAX_PEM_CHARACTERS,
    }
    for reason, text in broken.items():
        with pytest.raises(EnvelopeError, match=reason) as refused:
            PrivateKey.from_pem(text)
        assert not any(body[at : at + 12] in str(refused.value) for at in range(0, len(body) - 12, 4))


def test_no_key_prints_its_private_half(key: PrivateKey) -> None:
    secret = "".join(key.pem.reveal().splitlines()[1:-1])
    assert secret[20:60] not in repr(key)
    assert "redacted" in repr(key)

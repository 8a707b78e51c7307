"""What is sealed opens for its reader alone, and nothing outside the exact shape is decrypted."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from worker.errors import EnvelopeError
from worker.wire import compact, contentkey, envelope, keys
from worker.wire.keys import PrivateKey, PublicKey
from worker.wire.messages import MAX_REPLY_BYTES

LOCATION = "pl:office-0123456789abcdef"


def seal(payload: bytes, key: PublicKey) -> bytes:
    return envelope.seal(payload, key, typ=envelope.JOBS, location=LOCATION)


def unseal(token: bytes, *held: PrivateKey, max_bytes: int = MAX_REPLY_BYTES) -> bytes:
    return envelope.unseal(token, held, typ=envelope.JOBS, location=LOCATION, max_bytes=max_bytes)


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
def test_what_is_sealed_opens(key: PrivateKey, size: int) -> None:
    payload = b"\x00payload"[:size] * (size // 8 + 1)
    assert unseal(seal(payload, key.public), key) == payload


def test_the_key_is_chosen_by_its_kid_among_several(rsa_key: PrivateKey, x25519_key: PrivateKey) -> None:
    for key in (rsa_key, x25519_key):
        assert unseal(seal(b"x", key.public), rsa_key, x25519_key) == b"x"


def test_a_kid_that_is_not_held_is_refused(key: PrivateKey) -> None:
    with pytest.raises(EnvelopeError, match="not held"):
        unseal(seal(b"x", key.public), keys.generate("x25519"))


def test_a_token_for_another_purpose_or_place_is_refused(key: PrivateKey) -> None:
    token = seal(b"x", key.public)
    with pytest.raises(EnvelopeError, match="typ"):
        envelope.unseal(token, [key], typ=envelope.RESULTS, location=LOCATION, max_bytes=10_000)
    with pytest.raises(EnvelopeError, match="loc"):
        envelope.unseal(token, [key], typ=envelope.JOBS, location="pl:elsewhere", max_bytes=10_000)


def test_a_reply_at_its_bound_opens(x25519_key: PrivateKey) -> None:
    payload = bytes(MAX_REPLY_BYTES // 4 * 3 - 2000)
    assert unseal(seal(payload, x25519_key.public), x25519_key) == payload


def test_the_size_is_checked_before_anything_else(x25519_key: PrivateKey) -> None:
    token = seal(b"payload", x25519_key.public)
    assert unseal(token, x25519_key, max_bytes=len(token)) == b"payload"
    for large in (token, b"!" * len(token)):
        with pytest.raises(EnvelopeError, match=f"larger than {len(token) - 1} bytes"):
            unseal(large, x25519_key, max_bytes=len(token) - 1)


def test_a_long_header_is_not_even_decoded(x25519_key: PrivateKey) -> None:
    rest = seal(b"payload", x25519_key.public).split(b".")[1:]
    with pytest.raises(EnvelopeError, match="longer than 2048"):
        unseal(b".".join((b"!" * 2049, *rest)), x25519_key)


@pytest.mark.parametrize(("at", "name"), [(1, "encrypted key"), (2, "initialization vector"), (4, "tag")])
def test_a_segment_of_another_size_is_not_decrypted(key: PrivateKey, at: int, name: str) -> None:
    segments = seal(b"payload", key.public).split(b".")
    for other in (b"", b"AAAA", b"AAAA" + segments[at]):
        token = b".".join((*segments[:at], other, *segments[at + 1 :]))
        with pytest.raises(EnvelopeError, match=f"the {name} has not the size"):
            unseal(token, key)


@pytest.mark.parametrize("size", [16, 24])
def test_a_content_key_of_another_cipher_opens_nothing(rsa_key: PrivateKey, size: int) -> None:
    """AES takes it, and A256GCM is what the header says."""
    protected = seal(b"", rsa_key.public).split(b".")[0]
    content_key, vector = bytes(size), bytes(12)
    assert isinstance(rsa_key.public.native, rsa.RSAPublicKey)
    sealed = AESGCM(content_key).encrypt(vector, b"payload", protected)
    parts = (contentkey.encrypted(content_key, rsa_key.public.native), vector, sealed[:-16], sealed[-16:])
    with pytest.raises(EnvelopeError, match="does not open"):
        unseal(b".".join((protected, *map(compact.encode, parts))), rsa_key)


def test_no_refusal_tells_what_is_inside_or_what_the_key_is(key: PrivateKey) -> None:
    token = seal(b"the secret payload", key.public)
    for other in (token[:-1], token[:-4] + b"AAAA", token.replace(b".", b".A", 1)):
        with pytest.raises(EnvelopeError) as refused:
            unseal(other, key)
        assert "payload" not in str(refused.value)
        assert "".join(key.pem.reveal().splitlines()[1:-1])[:20] not in str(refused.value)


def test_a_public_key_of_small_order_seals_nothing() -> None:
    """RFC 7748 section 6.1: its shared secret is zero, hence known to everybody."""
    spki = bytes.fromhex("302a300506032b656e032100") + bytes(32)
    pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(spki).decode()}\n-----END PUBLIC KEY-----\n"
    with pytest.raises(EnvelopeError, match="nothing can be sealed"):
        seal(b"x", PublicKey.from_pem(pem))

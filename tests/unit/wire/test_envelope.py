"""What is sealed opens for its reader alone, and nothing outside the exact shape reaches the library."""

from __future__ import annotations

import pytest

from worker.errors import EnvelopeError
from worker.wire import envelope, keys
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

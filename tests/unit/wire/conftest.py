"""Keys are dear to make: one RSA key and one X25519 key a session."""

from __future__ import annotations

import pytest

from worker.wire import keys
from worker.wire.keys import PrivateKey


@pytest.fixture(scope="session")
def rsa_key() -> PrivateKey:
    return keys.generate("rsa4096")


@pytest.fixture(scope="session")
def x25519_key() -> PrivateKey:
    return keys.generate("x25519")


@pytest.fixture(params=["rsa", "x25519"])
def key(request: pytest.FixtureRequest, rsa_key: PrivateKey, x25519_key: PrivateKey) -> PrivateKey:
    return {"rsa": rsa_key, "x25519": x25519_key}[request.param]

"""One key of each kind, made once. The RSA key has the least size allowed: the vectors have one of the usual size."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from worker.wire import keys
from worker.wire.keys import PrivateKey


@pytest.fixture(scope="session")
def rsa_key() -> PrivateKey:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return PrivateKey.from_pem(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


@pytest.fixture(scope="session")
def x25519_key() -> PrivateKey:
    return keys.generate("x25519")


@pytest.fixture(params=["rsa", "x25519"])
def key(request: pytest.FixtureRequest, rsa_key: PrivateKey, x25519_key: PrivateKey) -> PrivateKey:
    return {"rsa": rsa_key, "x25519": x25519_key}[request.param]

"""One key of each kind. Making an RSA key takes seconds, so the one of the vectors is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.wire import keys
from worker.wire.keys import PrivateKey


@pytest.fixture(scope="session")
def rsa_key() -> PrivateKey:
    return PrivateKey.from_pem((Path(__file__).parents[2] / "vectors" / "test-key-rsa4096.pem").read_text())


@pytest.fixture(scope="session")
def x25519_key() -> PrivateKey:
    return keys.generate("x25519")


@pytest.fixture(params=["rsa", "x25519"])
def key(request: pytest.FixtureRequest, rsa_key: PrivateKey, x25519_key: PrivateKey) -> PrivateKey:
    return {"rsa": rsa_key, "x25519": x25519_key}[request.param]

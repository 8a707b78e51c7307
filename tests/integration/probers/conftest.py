"""Both event loops, a door that lets loopback pass, and a certificate authority of their own."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from tests.support.loops import pytest_asyncio_loop_factories
from tests.support.servers.door import loopback_door
from worker.net.door import Door

__all__ = ("pytest_asyncio_loop_factories",)  # pytest finds it by its name


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "::1", "vhost.example").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def server_tls_demanding(authority: trustme.CA) -> ssl.SSLContext:
    """TLS 1.3 that wants a client certificate, which a client only hears after its handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def door(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Door:
    ca_file: Path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    return loopback_door(ca_files=(ca_file,))

"""Everything in this folder runs on asyncio's own loop and on uvloop. One authority issues what targets show."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from tests.support.loops import pytest_asyncio_loop_factories

__all__ = ("pytest_asyncio_loop_factories",)  # pytest finds it by its name


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """For targets that are called 127.0.0.1, ::1 or www.example.org."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "::1", "www.example.org").configure_cert(context)
    return context


@pytest.fixture
def proxy_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context

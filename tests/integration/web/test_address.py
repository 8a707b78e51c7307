"""Listening sockets: one address, or every one in both families."""

from __future__ import annotations

import socket

import pytest

from worker.web.address import listen


def reached(listener: socket.socket, host: str) -> bool:
    try:
        with socket.create_connection((host, listener.getsockname()[1]), timeout=5):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["", "::"])
def test_everywhere_is_both_families(host: str) -> None:
    with listen(host, 0) as listener:
        assert reached(listener, "127.0.0.1")
        assert reached(listener, "::1")


def test_an_address_of_one_family_is_that_alone() -> None:
    with listen("0.0.0.0", 0) as listener:
        assert reached(listener, "127.0.0.1")
        assert not reached(listener, "::1")


def test_one_address_is_that_alone() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert reached(listener, "127.0.0.1")
        assert not reached(listener, "127.0.0.2")

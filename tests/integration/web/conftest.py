"""Both event loops: their servers, handshakes and listening sockets are their own."""

from __future__ import annotations

from tests.support.loops import pytest_asyncio_loop_factories

__all__ = ("pytest_asyncio_loop_factories",)  # pytest finds it by its name

"""Everything in this folder runs on asyncio's own loop and on uvloop."""

from __future__ import annotations

from tests.support.loops import pytest_asyncio_loop_factories

__all__ = ("pytest_asyncio_loop_factories",)  # pytest finds it by its name

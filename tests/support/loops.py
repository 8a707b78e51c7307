"""What the way to targets runs on in tests: the worker's loop, and the one that remains where uvloop is missing.

A folder whose tests are to run on both imports `pytest_asyncio_loop_factories` into its conftest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

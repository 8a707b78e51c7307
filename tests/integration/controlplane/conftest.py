from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner, Result

from controlplane.cli import main
from tests.integration.controlplane.plane import Plane, served
from tests.integration.controlplane.typed import Run
from tests.support.browser import browser
from tests.support.public_api import PublicAPI

__all__ = ("browser",)  # a fixture


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    """A control plane on a real socket and a real SQLite file, with a clock that only the test moves."""
    async with served(tmp_path) as plane:
        yield plane


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest.fixture
async def api(plane: Plane, session: aiohttp.ClientSession) -> PublicAPI:
    """A caller who may do everything."""
    api_key, app_key = await plane.add_key("read", "write", "trigger")
    return PublicAPI(session, plane.url, api_key, app_key)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a folder of its own, with its default database."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0, **options: Any) -> Result:
        result = CliRunner().invoke(main, arguments, catch_exceptions=False, **options)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def location(run: Run) -> str:
    run("location", "create", "office", "--output", "worker-config.json")
    return "office"

"""OpenID Connect providers of others, npm's oidc-provider: one with clients of their own right, one that signs people in."""

from __future__ import annotations

import asyncio
import os
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.peers import missing, peer

SECRET = "s3cr:t+&%~"
"""Of the clients `basic` and `plane` (in the header) and `post` (in the body)."""
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_LIBRARY = _CACHE / "open-private-location" / "oidc-provider" / "node_modules" / "oidc-provider" / "lib" / "index.js"
"""Where .ci/run installs it."""


@asynccontextmanager
async def oidc_provider() -> AsyncIterator[str]:
    """The URL of a provider of tokens; its endpoints are `/token` and `/token/introspection`."""
    async with _started("oidc_provider.mjs") as (process, port):
        del process
        yield f"http://127.0.0.1:{port}"


@dataclass(frozen=True)
class SignOnProvider:
    """*issuer* signs in anybody by name; its client is `plane`, with `SECRET`."""

    issuer: str
    process: Process

    async def serve(self, redirect_uri: str) -> None:
        """Begin to serve, with this as the one address to which visitors are sent back."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{redirect_uri}\n".encode())
        async with asyncio.timeout(60):
            assert await self.process.stdout.readline() == b"ready\n"


@asynccontextmanager
async def sign_on_provider() -> AsyncIterator[SignOnProvider]:
    """A provider that signs people in."""
    async with _started("oidc_sign_on.mjs") as (process, port):
        yield SignOnProvider(f"http://127.0.0.1:{port}", process)


@asynccontextmanager
async def _started(script: str) -> AsyncIterator[tuple[Process, str]]:
    """A process of npm's library, and the port that it prints."""
    node = peer("node")
    if not _LIBRARY.exists():
        missing(f"npm's oidc-provider is not in {_LIBRARY.parents[3]}")
    process = await asyncio.create_subprocess_exec(
        *(node, str(Path(__file__).with_name(script)), str(_LIBRARY)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            port = (await process.stdout.readline()).decode().strip()
        assert port, "oidc-provider did not start"
        yield process, port
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()

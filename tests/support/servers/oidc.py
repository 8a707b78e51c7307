"""An OpenID Connect provider of others, npm's oidc-provider, with two clients of the grant `client_credentials`."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.peers import missing, peer

SECRET = "s3cr:t+&%~"
"""Of the clients `basic` (in the header) and `post` (in the body)."""
_SCRIPT = Path(__file__).with_name("oidc_provider.mjs")
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_LIBRARY = _CACHE / "open-private-location" / "oidc-provider" / "node_modules" / "oidc-provider" / "lib" / "index.js"
"""Where .ci/run installs it."""


@asynccontextmanager
async def oidc_provider() -> AsyncIterator[str]:
    """The URL of a provider; its endpoints are `/token` and `/token/introspection`."""
    node = peer("node")
    if not _LIBRARY.exists():
        missing(f"npm's oidc-provider is not in {_LIBRARY.parents[3]}")
    process = await asyncio.create_subprocess_exec(
        *(node, str(_SCRIPT), str(_LIBRARY)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            port = (await process.stdout.readline()).decode().strip()
        assert port, "oidc-provider did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()

"""Squid, the forward proxy of many networks: CONNECT for one user, from a configuration of the test's own."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.peers import missing, peer
from tests.support.servers.tcp import closed_port

USER, PASSWORD = "ann", "pa ss"
HELPER = Path("/usr/lib/squid/basic_ncsa_auth")
_TRIES = 3
"""Ports, each of which somebody else may take before squid does."""
_CONFIG = """
http_port 127.0.0.1:{port}
auth_param basic program {helper} {folder}/users
auth_param basic children 1 startup=1
auth_param basic realm proxy
acl known proxy_auth REQUIRED
acl forbidden_port port 9
http_access deny forbidden_port
http_access allow CONNECT known
http_access deny all
via off
cache deny all
access_log stdio:{folder}/access.log
cache_log {folder}/cache.log
cache_store_log none
pid_filename none
netdb_filename none
pinger_enable off
shutdown_lifetime 0 seconds
"""


@asynccontextmanager
async def squid() -> AsyncIterator[int]:
    """The port of a squid that opens tunnels for `USER` with `PASSWORD`, to any port but 9."""
    program = peer("squid")
    if not HELPER.exists():
        missing(f"{HELPER} is not installed")
    with TemporaryDirectory(prefix="squid-") as name:
        folder = Path(name)
        folder.chmod(0o777)  # squid takes off root's rights before it opens its logs
        (folder / "users").write_text(f"{USER}:{_hashed(PASSWORD)}\n")
        for _ in range(_TRIES):
            port = closed_port()
            (folder / "squid.conf").write_text(_CONFIG.format(port=port, helper=HELPER, folder=folder))
            process = await asyncio.create_subprocess_exec(
                *(program, "-N", "-f", str(folder / "squid.conf")),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                if await _listens(port, process):
                    yield port
                    return
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()
        raise AssertionError(f"squid did not start:\n{(folder / 'cache.log').read_text()[-2000:]}")


def _hashed(password: str) -> str:
    command = (peer("openssl"), "passwd", "-apr1", password)
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


async def _listens(port: int, process: asyncio.subprocess.Process) -> bool:
    async with asyncio.timeout(60):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return True
    return False

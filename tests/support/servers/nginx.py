"""nginx, the web server of many targets, from a configuration of the test's own."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.peers import peer
from tests.support.servers.tcp import closed_port

_TRIES = 3
"""Ports, each of which somebody else may take before nginx does."""
_CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 8m;
    types {{ text/plain txt; }}
    {inside}
}}
"""


@asynccontextmanager
async def nginx(server: str, *, ports: int = 1) -> AsyncIterator[tuple[Path, tuple[int, ...]]]:
    """The folder and the ports of an nginx; *server* are its server blocks, with `{folder}` and `{ports[0]}` to be filled in.

    Files of `{folder}/www` may be written while it runs.
    """
    program = peer("nginx")
    with TemporaryDirectory(prefix="nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx takes off root's rights
        (folder / "www").mkdir()
        for _ in range(_TRIES):
            taken = tuple(closed_port() for _ in range(ports))
            inside = server.format(folder=folder, ports=taken)
            (folder / "nginx.conf").write_text(_CONFIG.format(folder=folder, inside=inside))
            process = await asyncio.create_subprocess_exec(
                *(program, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(folder / "error.log")),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                if await _listens(taken[-1], process):
                    yield folder, taken
                    return
            finally:
                if process.returncode is None:
                    process.terminate()
                await process.wait()
        raise AssertionError(f"nginx did not start:\n{(folder / 'error.log').read_text()[-2000:]}")


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

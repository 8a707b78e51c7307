"""A server that may open few files: it prints its port, and serves until its standard input ends."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import sys

from aiohttp import web

from worker.web.connections import ClientLimits, serving

FILES = 40


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


async def main() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    application = web.Application()
    application.add_routes([web.get("/", hello)])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with serving(web.AppRunner(application), listening, ClientLimits(connections=1000)):
            print(listening.getsockname()[1], flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    asyncio.run(main())

"""Waiting, once, until a socket can be read or written; always for a turn of the loop at least. It may be woken for nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable


async def readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    await _ready(loop.add_reader, loop.remove_reader, sock.fileno())


async def writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    await _ready(loop.add_writer, loop.remove_writer, sock.fileno())


async def _ready(watch: Callable[..., object], forget: Callable[[int], object], descriptor: int) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    watch(descriptor, _wake, ready)
    try:
        await ready
    finally:
        forget(descriptor)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)

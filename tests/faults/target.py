"""The honest target: it answers every request with 200, after as long as its path says, and gives each a name of its own."""

from __future__ import annotations

import asyncio
import uuid


class HonestTarget:
    """GET /MILLISECONDS/BYTES/TEST. `served` maps the names of runs, sent as X-Run, to their tests."""

    def __init__(self) -> None:
        self.served: dict[str, str] = {}
        self.port = 0

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def url(self, test: str, milliseconds: int, size: int) -> str:
        return f"http://127.0.0.1:{self.port}/{milliseconds}/{size}/{test}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            _, milliseconds, size, test = head.split(b" ")[1].decode().split("/")
            run = str(uuid.uuid4())
            self.served[run] = test
            await asyncio.sleep(int(milliseconds) / 1000)
            writer.write(
                f"HTTP/1.1 200 OK\r\nX-Run: {run}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode()
            )
            writer.write(bytes(int(size)))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # a worker that was killed or cut off
        except asyncio.CancelledError:
            pass  # the round is over, and asyncio would print it
        finally:
            writer.close()

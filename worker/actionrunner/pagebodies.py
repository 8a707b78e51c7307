"""Bodies of pages' requests, read within bounds of time and size, and of memory for all of them together.

Where they would be too much together, the one that has been read for the longest is given up: an honest page sends all of a small
body at once. It looks into none.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from worker.actionrunner.pushorder import PushRefusedError

BODY_SECONDS: Final = 10.0
"""For a whole body to arrive."""
MAX_BODY_BYTES: Final = 512 * 1024
MOST_BODIES: Final = 4 * 1024 * 1024
"""Bytes of all bodies that are being read: 200 senders of slow bodies must not fill the memory."""
_CHUNK: Final = 64 * 1024


@dataclass(slots=True, eq=False)
class _Reading:
    """A body that is being read."""

    limit: asyncio.Timeout
    chunks: list[bytes] = field(default_factory=list)
    held: int = 0


class PageBodies:
    """All bodies that are being read, the oldest first."""

    def __init__(self) -> None:
        self._reading: dict[_Reading, None] = {}
        self._held = 0

    async def read(self, request: web.Request) -> bytes:
        """Read the whole body of *request*. Raises PushRefusedError (400, 408, 413)."""
        reading = _Reading(asyncio.timeout(BODY_SECONDS))
        self._reading[reading] = None
        try:
            async with reading.limit:
                async for chunk in request.content.iter_chunked(_CHUNK):
                    self._keep(reading, chunk)
        except TimeoutError as error:
            raise too_slow() from error
        except (ConnectionError, web.RequestPayloadError) as error:  # nobody may be there to read the answer
            raise PushRefusedError(400, "body", "the body ended early, or its framing is broken") from error
        finally:
            self._forget(reading)
        return b"".join(reading.chunks)

    def _keep(self, reading: _Reading, chunk: bytes) -> None:
        """Raises PushRefusedError (408, 413)."""
        if reading not in self._reading:
            raise too_slow()
        if reading.held + len(chunk) > MAX_BODY_BYTES:
            raise too_large()
        reading.chunks.append(chunk)
        reading.held += len(chunk)
        self._held += len(chunk)
        while self._held > MOST_BODIES:
            self._give_up(next(iter(self._reading)))

    def _give_up(self, oldest: _Reading) -> None:
        self._forget(oldest)
        if not oldest.limit.expired():
            oldest.limit.reschedule(asyncio.get_running_loop().time())

    def _forget(self, reading: _Reading) -> None:
        if reading in self._reading:
            del self._reading[reading]
            self._held -= reading.held


def too_large() -> PushRefusedError:
    """The refusal of a body by its size."""
    return PushRefusedError(413, "too_large", f"the body is larger than {MAX_BODY_BYTES} bytes")


def too_slow() -> PushRefusedError:
    """The refusal of a body by its time."""
    return PushRefusedError(408, "slow", f"the body did not arrive in {BODY_SECONDS:.0f} s, or was the slowest of many")

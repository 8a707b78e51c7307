"""Bodies of requests as they come: bounds on their size, their time, and the memory that all of them take together.

A body is read only for who has proven to hold a location's key. The budget is for all connections of the process; one location
gets a quarter of it at most, so that its workers, or who has its key, cannot keep the others' results out.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from aiohttp import web

from controlplane.errors import RefusedError

BODY_SECONDS = 10.0
"""For a whole body to arrive: as long as a worker waits for a whole exchange."""
BUDGET_BYTES = 64 * 1024 * 1024
"""Eight pushes of the largest size. A body is held some three times over while it is opened and read."""
SHARE = 4
"""Locations whose workers can fill the budget only together."""
LARGE_BYTES = 64 * 1024
"""A body beyond this is worked on alone: reading it, and what it names, takes tens of milliseconds of the one loop, and between
two of its steps everybody else has a turn. A pull that holds 1,000 leases has less."""
_CHUNK = 64 * 1024


class BodyBudget:
    """Bytes of bodies in memory, by location."""

    def __init__(self, size: int = BUDGET_BYTES) -> None:
        self._size = size
        self._taken: Counter[str] = Counter()
        self._large = asyncio.Lock()

    @property
    def taken(self) -> int:
        """Bytes of all bodies that are in memory now."""
        return self._taken.total()

    def take(self, location: str, size: int) -> bool:
        """Count *size* more bytes of *location*; False where there is no room for them."""
        if self.taken + size > self._size or self._taken[location] + size > self._size // SHARE:
            return False
        self._taken[location] += size
        return True

    def give_back(self, location: str, size: int) -> None:
        self._taken[location] -= size
        if not self._taken[location]:
            del self._taken[location]

    def turn(self, body: bytes) -> AbstractAsyncContextManager[None]:
        """Hold this while working on *body*: large ones come one after another."""
        return self._large if len(body) > LARGE_BYTES else nullcontext()


@asynccontextmanager
async def body_of(
    request: web.Request, budget: BodyBudget, *, location: str, max_bytes: int
) -> AsyncIterator[tuple[bytes, RefusedError | None]]:
    """The body, or nothing and why it was not read. Its bytes count as long as the context lasts."""
    reading = _Reading(budget, location, max_bytes)
    try:
        yield await reading.read(request)
    finally:
        budget.give_back(location, reading.size)


class _Reading:
    """One body as it comes; *size* is what the budget was charged for it."""

    def __init__(self, budget: BodyBudget, location: str, max_bytes: int) -> None:
        self._budget = budget
        self._location = location
        self._max_bytes = max_bytes
        self.size = 0

    async def read(self, request: web.Request) -> tuple[bytes, RefusedError | None]:
        if (request.content_length or 0) > self._max_bytes:
            return b"", self._too_large()
        chunks: list[bytes] = []
        try:
            if request.content.is_eof():  # all of it came with the head, or while others had their turn
                whole = request.content.read_nowait()
                refused = self._take(whole)
                return (b"", refused) if refused else (whole, None)
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.content.iter_chunked(_CHUNK):
                    if (refused := self._take(chunk)) is not None:
                        return b"", refused
                    chunks.append(chunk)
        except TimeoutError:
            return b"", RefusedError(408, "timeout", f"the body did not arrive in {BODY_SECONDS:.0f} s")
        except (ConnectionError, web.RequestPayloadError):  # nobody may be there to read the answer
            return b"", RefusedError(400, "body", "the body ended early, or its framing is broken")
        return b"".join(chunks), None

    def _take(self, chunk: bytes) -> RefusedError | None:
        """Count a part that came, or refuse it."""
        if self.size + len(chunk) > self._max_bytes:
            return self._too_large()
        if not self._budget.take(self._location, len(chunk)):
            return RefusedError(503, "busy", "too many bodies are being read: come back later")
        self.size += len(chunk)
        return None

    def _too_large(self) -> RefusedError:
        return RefusedError(413, "too_large", f"the body is larger than {self._max_bytes} bytes")

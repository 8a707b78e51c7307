"""Passwords: hashed by Argon2id (RFC 9106) off the event loop, a few at a time, and compared as slowly for somebody unknown.

Nothing here knows users or says why a password does not fit.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from controlplane.errors import RefusedError, UnusableError
from worker.secret import Secret

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class HashCosts:
    """The costs of one hash: RFC 9106 §3.1's m, t and p."""

    memory_kib: int
    passes: int
    lanes: int


COSTS = HashCosts(memory_kib=47_104, passes=1, lanes=1)
"""OWASP Password Storage Cheat Sheet: 46 MiB, one pass, one lane. More lanes would take processors from the event loop."""
AT_ONCE = 2
"""Hashes at one time: 92 MiB at most, whoever asks."""
MAX_WAITING = 32
"""Callers that wait for their turn, two seconds of work; more are sent away at once."""
MIN_CHARACTERS = 12
MAX_CHARACTERS = 200
"""A longer text is no password, and costs a hash of its own."""
UNKNOWN = "$argon2id$v=19$m=47104,t=1,p=1$tgpxlSxAOUNp6zvadpmjxQ$leAEMUsgmpXH6IKSKL0PXY0tvhHH8OKLaPgad5oqHTQ"
"""The hash of a text that nobody kept, at these costs. Who has no password is compared with it, and takes as long as others."""


def check(password: Secret[str]) -> None:
    """Raise UnusableError for a password that must not be set."""
    text = password.reveal()
    if not MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS:
        raise UnusableError(f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters", field="password")
    if len(set(text)) < 4:
        raise UnusableError("a password has at least 4 different characters", field="password")


class Passwords:
    """Hashes and compares, `AT_ONCE` at a time."""

    def __init__(self, costs: HashCosts = COSTS) -> None:
        self._costs = costs
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._hasher: PasswordHasher | None = None

    async def hash(self, password: Secret[str]) -> str:
        """Hash a password that was checked. Raises RefusedError where too many wait."""
        hasher = self._ready()
        return await self._in_turn(lambda: hasher.hash(_bytes(password)))

    async def fits(self, stored: str | None, password: Secret[str]) -> bool:
        """Compare a password with its hash; None is never fitted, and takes as long. Raises RefusedError where too many wait."""
        self._ready()
        compared = await self._in_turn(lambda: self._compare(stored or UNKNOWN, password))
        return compared and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Tell if a hash was made with other costs than today's."""
        return self._ready().check_needs_rehash(stored)

    def _ready(self) -> PasswordHasher:
        if self._hasher is None:
            from argon2 import PasswordHasher  # noqa: PLC0415 - a plane whose pages nobody opens has no use for it

            costs = self._costs
            self._hasher = PasswordHasher(time_cost=costs.passes, memory_cost=costs.memory_kib, parallelism=costs.lanes)
        return self._hasher

    def _compare(self, stored: str, password: Secret[str]) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - as above

        try:
            return self._ready().verify(stored, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise RefusedError(503, "busy", "too many passwords are being checked: come back later")
        self._waiting += 1
        try:
            async with self._turns:
                # A thread goes on after a cancellation: its turn is over when it is, or more than AT_ONCE would run.
                return await _to_its_end(work)
        finally:
            self._waiting -= 1


async def _to_its_end(work: Callable[[], T]) -> T:
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _bytes(password: Secret[str]) -> bytes:
    """Text as it is compared, cut where no password ends. NFKC: the form of a character depends on the keyboard (RFC 8265 §4)."""
    text = password.reveal()[: MAX_CHARACTERS + 1]
    return unicodedata.normalize("NFKC", text).encode("utf-8", "surrogatepass")

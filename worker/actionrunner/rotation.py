"""New keys for the runner while it runs: made and kept beside the old ones, told under the old, used once they are the kept ones.

Killed anywhere, the next start goes on: until the control plane has the new keys the old ones hold, and after that both do, until
the first request of the new.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import replace
from typing import Protocol

from worker.actionrunner import identity as identities
from worker.actionrunner.identity import IdentityStore, KeptIdentity
from worker.actionrunner.keyring import ChannelKeys
from worker.clock import Clock
from worker.errors import ConfigError
from worker.intake.backoff import Backoff
from worker.intake.transport import IntakeError
from worker.wire.keys import PrivateKey
from worker.wire.signingkey import SigningKey

log = logging.getLogger(__name__)


REST_SECONDS = 60.0
"""After a rotation in which nobody's word counts: the reply to a pull that was asked before it still says that it is due."""


class KeyOffer(Protocol):
    """The part of the channel that this module needs."""

    async def offer_keys(self, signing: SigningKey, opening: PrivateKey) -> None:
        """Tell the control plane the keys that are to follow. Raises IntakeError."""
        ...


class KeyRotation:
    """Changes *keys*, those of the channel, when `want` was called, for as long as `run` runs."""

    def __init__(self, store: IdentityStore, keys: ChannelKeys, offer: KeyOffer, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._offer = offer
        self._clock = clock
        self._wanted = asyncio.Event()
        self._backoff = Backoff(random.uniform)
        self._made_ns: int | None = None

    def want(self) -> None:
        """Ask for new keys; to ask again while they are made, or just were, changes nothing."""
        if self._made_ns is None or self._clock.monotonic_ns() - self._made_ns > REST_SECONDS * 1e9:
            self._wanted.set()

    async def run(self) -> None:
        """Rotate whenever that is wanted, until cancelled; finish first what an earlier instance began."""
        found = await asyncio.to_thread(self._store.load) if self._store.writable else None
        if found is not None and found.next_keys is not None:
            self._wanted.set()
        while True:
            await self._wanted.wait()
            try:
                await self.rotate()
            except (IntakeError, ConfigError) as error:
                wait = self._backoff.next()
                log.warning("cannot change the keys yet: %s", error, extra={"action": "rotation_failed"})
                await self._clock.sleep(wait)
            else:
                self._backoff.reset()
                self._wanted.clear()

    async def rotate(self) -> None:
        """Make, keep, tell and use new keys. Raises IntakeError, ConfigError; to call it again goes on where it stopped."""
        if not self._store.writable:
            log.error("new keys are wanted, and the identity is read-only", extra={"action": "rotation_impossible"})
            return
        kept = await asyncio.to_thread(self._store.change, _with_next)
        assert kept.next_keys is not None, "they are kept now"
        await self._offer.offer_keys(kept.next_keys.signing, kept.next_keys.opening)
        kept = await asyncio.to_thread(self._store.change, _rotated)
        self._keys.opening = (kept.keys.opening, *kept.former)
        self._keys.signing = kept.keys.signing
        self._made_ns = self._clock.monotonic_ns()
        log.info("the keys are new: %s", kept.keys.signing.kid, extra={"action": "rotated"})


def _with_next(found: KeptIdentity | None) -> KeptIdentity:
    known = identities.there(found)
    return known if known.next_keys is not None else replace(known, next_keys=identities.new_keys())


def _rotated(found: KeptIdentity | None) -> KeptIdentity:
    return identities.rotated(identities.there(found))

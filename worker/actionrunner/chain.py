"""This instance among the runner's: its epoch, the chain of starts that shows it is no copy, and what it heard of a newer one.

It says so in each pull and keeps what a signed reply confirms; the identity is written before the first pull, and when an epoch,
a keyset or new keys come. It decides nothing: which instance is the runner is the control plane's to say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

import msgspec

from worker.actionrunner import identity as identities
from worker.actionrunner.identity import IdentityStore, KeptIdentity
from worker.clock import Clock
from worker.errors import ConfigError
from worker.wire.keyset import read_keyset
from worker.wire.runner_messages import RunnerPull, RunnerWork

log = logging.getLogger(__name__)

TELL_SECONDS = 60.0
"""Between two records of the same trouble: it lasts until a person does something."""


class InstanceChain:
    """The instance *instance* of the identity in *store*, which has enrolled."""

    def __init__(
        self,
        store: IdentityStore,
        clock: Clock,
        instance: str,
        *,
        elsewhere: Callable[[Callable[[], None]], None] = lambda work: work(),
    ) -> None:
        """*elsewhere* does what may block, in the order in which it was handed over; here and now where nothing is said."""
        self._store = store
        self._elsewhere = elsewhere
        self._clock = clock
        self._instance = instance
        self.on_rotate: Callable[[], None] = lambda: None
        """Is told that new keys are wanted."""
        self.revoked = asyncio.Event()
        """Set when the runner is refused as revoked or disabled, once each time."""
        self._starts: tuple[str, ...] = ()
        self._foreign: str | None = None
        self._told: tuple[str, int] = ("", 0)
        self.epoch = 0
        self.trouble = ""
        """The code of the refusal that holds (superseded, contested, revoked); empty while the runner is heard."""

    def begin(self) -> KeptIdentity:
        """Write this start into the identity, where that can be written, and return it. Raises ConfigError."""
        if not self._store.writable:
            found = self._store.load()
            assert found is not None, "the identity has enrolled"
            return found
        changed = self._store.change(lambda found: identities.started(identities.there(found), self._instance))
        self._starts = changed.starts
        return changed

    def say(self, pull: RunnerPull) -> RunnerPull:
        return msgspec.structs.replace(pull, epoch=self.epoch, after=self._starts, foreign=self._foreign)

    def hear(self, work: RunnerWork) -> None:
        """Take in a signed reply: this instance is the runner."""
        self.trouble = ""
        if work.epoch != self.epoch:
            self.epoch = work.epoch
            self._confirm()
        if work.rotate:
            self.on_rotate()

    def refused(self, code: str, message: str, instance: str | None) -> None:
        """Take in a signed refusal. A newer *instance* that the identity knows nothing of is not our successor."""
        if code not in ("superseded", "contested", "revoked"):
            return
        if code == "revoked" and self.trouble != "revoked":
            self.revoked.set()
        self.trouble = code
        if code == "superseded" and instance is not None and self._starts:
            self._elsewhere(lambda: self._judge(instance))
        self._tell(code, message)

    def keep_keyset(self, token: str) -> None:
        """Keep a newer keyset, which its reader has believed."""
        if self._store.writable:
            self._elsewhere(lambda: self._change(lambda found: _with_keyset(found, token)))

    def _judge(self, instance: str) -> None:
        self._foreign = None if self._knows(instance) else instance

    def _knows(self, instance: str) -> bool:
        try:
            found = self._store.load()
        except ConfigError as error:
            log.warning("cannot read the identity: %s", error, extra={"action": "identity_unreadable"})
            return True  # what cannot be read accuses nobody
        return found is not None and instance in found.starts

    def _confirm(self) -> None:
        log.info("this instance is the runner", extra={"action": "epoch", "epoch": str(self.epoch)})
        if self._store.writable:
            self._elsewhere(lambda: self._change(lambda found: identities.confirmed(found, self._instance)))

    def _change(self, step: Callable[[KeptIdentity], KeptIdentity]) -> None:
        """Write the identity. Where that fails the old one holds: the next start may be called a copy, which a person settles."""
        try:
            self._starts = self._store.change(lambda found: step(identities.there(found))).starts
        except ConfigError as error:
            log.error("cannot keep the identity: %s", error, extra={"action": "identity_unwritable"})  # noqa: TRY400

    def _tell(self, code: str, message: str) -> None:
        now = self._clock.monotonic_ns()
        if self._told[0] == code and now - self._told[1] < TELL_SECONDS * 1e9:
            return
        self._told = (code, now)
        log.error("no tasks are taken, %s: %s", code, message, extra={"action": "runner_refused", "code": code})


def _with_keyset(found: KeptIdentity, token: str) -> KeptIdentity:
    if found.enrolment is None:
        return found
    keyset = read_keyset(token, found.enrolment.root)
    if not keyset.succeeds(found.enrolment.keyset):
        return found
    return replace(found, enrolment=replace(found.enrolment, keyset=keyset))

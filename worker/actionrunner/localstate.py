"""The operator's files as they stand: connections and policy, read whole and swapped whole, looked at every two seconds.

A policy that cannot be read allows nothing, five seconds after it broke: a file that is being written is broken for a moment.
At a start it is an error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from worker.actionrunner.connections import NO_CONNECTIONS, LocalConnections, connections_of
from worker.actionrunner.localpolicy import LocalPolicy
from worker.actionrunner.policyfile import allow_list, policy_of, warnings_of
from worker.actionrunner.yamlfile import read_operators_file
from worker.agent.first import first_of
from worker.clock import Clock
from worker.errors import ConfigError

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
BROKEN_SECONDS: Final = 5.0
_READINGS: Final = 3
"""Readings until the files that a reading names are those that were looked at before it: a change in between is seen later."""
NOTHING: Final = LocalPolicy(())
_Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalState:
    """*trouble* is the reason why the policy or the connections cannot be read, in words; then nothing is allowed."""

    connections: LocalConnections = NO_CONNECTIONS
    policy: LocalPolicy = NOTHING
    warnings: tuple[str, ...] = ()
    trouble: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPlaces:
    """The places of the operator's files. A file that was not *named* in the options may be missing."""

    directory: Path
    connections: Path
    policy: Path
    allow_list: tuple[str, ...] = ()
    connections_named: bool = False
    policy_named: bool = False
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The runner's, of which connections may name variables."""
    isolation_required: bool = False

    def read(self) -> LocalState:
        """Raises ConfigError for a file that cannot be read, and for two policies at once."""
        connections = NO_CONNECTIONS
        if self.connections_named or self.connections.exists():
            connections = connections_of(
                read_operators_file(self.connections, "connectionsFile"),
                self.directory,
                self.environment,
                isolation_required=self.isolation_required,
            )
        has_policy = self.policy_named or self.policy.exists()
        if has_policy and self.allow_list:
            reason = "there is a policy file as well: move the list into it as rules"
            raise ConfigError(reason, option="actionsAllowlist", place=str(self.policy))
        policy = (
            policy_of(read_operators_file(self.policy, "policyFile")) if has_policy else allow_list(self.allow_list)
        )
        warnings = tuple(warnings_of(policy, [*connections.usable, *connections.unusable]))
        return LocalState(connections=connections, policy=policy, warnings=warnings)


class LocalFiles:
    """Keeps `state` up to date while `run` runs."""

    def __init__(self, places: LocalPlaces, clock: Clock) -> None:
        """Raises ConfigError."""
        self._places = places
        self._clock = clock
        self._hurry = asyncio.Event()
        self.state, self._seen = self._read(NO_CONNECTIONS)
        self.read_at_ns = clock.monotonic_ns()
        self._broken_since_ns: int | None = None
        self._told = ""
        self._tell(self.state)

    async def run(self) -> None:
        while True:
            await first_of(self._clock.sleep(LOOK_SECONDS), self._hurry.wait())
            self._hurry.clear()
            await self.look()

    def hurry(self) -> None:
        """Have `run` look now."""
        self._hurry.set()

    async def look(self) -> None:
        """Read the files again where one of them has changed, or could not be read."""
        stamp = await asyncio.to_thread(lambda: _stamp(self._watched(self.state.connections)))
        if stamp == self._seen and self._broken_since_ns is None:
            return
        try:
            state, self._seen = await asyncio.to_thread(self._read, self.state.connections)
        except ConfigError as error:
            self._broke(error)
            return
        self._broken_since_ns = None
        self.state, self.read_at_ns = state, self._clock.monotonic_ns()
        log.info("the connections and the policy were read again", extra={"action": "policy_read"})
        self._tell(state)

    def _read(self, known: LocalConnections) -> tuple[LocalState, _Stamp]:
        """The files as they stand, and their stamps from before they were read. Raises ConfigError."""
        for _ in range(_READINGS):
            watched = self._watched(known)
            stamp, state = _stamp(watched), self._places.read()
            known = state.connections
            if self._watched(known) == watched:
                break
        return state, stamp

    def _broke(self, error: ConfigError) -> None:
        now = self._clock.monotonic_ns()
        if self._broken_since_ns is None:
            self._broken_since_ns = now
        if now - self._broken_since_ns < BROKEN_SECONDS * 1e9:
            return
        self.state = LocalState(trouble=str(error))
        if self._told != str(error):
            self._told = str(error)
            log.error("nothing is allowed: %s", error, extra={"action": "policy_unreadable"})

    def _watched(self, connections: LocalConnections) -> tuple[Path, ...]:
        return (self._places.connections, self._places.policy, *connections.files)

    def _tell(self, state: LocalState) -> None:
        self._told = ""
        for warning in state.warnings:
            log.warning("%s", warning, extra={"action": "policy_warning"})
        for name, reason in state.connections.unusable.items():
            log.warning("the connection %s cannot be used: %s", name, reason, extra={"action": "connection_unusable"})


def _stamp(paths: Iterable[Path]) -> _Stamp:
    return tuple(_stamp_of(path) for path in paths)


def _stamp_of(path: Path) -> tuple[str, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (str(path), 0, 0, 0)
    return (str(path), found.st_mtime_ns, found.st_size, found.st_ino)

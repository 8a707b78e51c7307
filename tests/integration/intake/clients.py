"""A worker's client, and the message that it sends."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.servers.controlplane import CREDENTIALS, ProtocolServer
from worker.clock import SystemClock
from worker.intake.client import Identity, Intake
from worker.intake.transport import Peer
from worker.wire.messages import Pull


@asynccontextmanager
async def client_of(server: ProtocolServer, *, peer: Peer | None = None) -> AsyncIterator[Intake]:
    identity = Identity(
        credentials=CREDENTIALS,
        worker=str(uuid.uuid4()),
        private_keys=(server.location_key,),
        public_key=server.results_key.public,
    )
    async with Intake(peer or Peer(url=server.url), identity, SystemClock(), agent="test/1") as intake:
        yield intake


def pull(free: int = 1) -> Pull:
    return Pull(version=1, concurrency=1, free_slots=free, keys=("k",))

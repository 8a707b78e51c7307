"""A control plane in this process, on a real SQLite file, with a clock that only the test moves."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select

from controlplane import epoch, site
from controlplane.identity.provider import IdentityProvider
from controlplane.identity.settings import ProviderSettings
from controlplane.leases import Grace
from controlplane.rest.context import Context
from controlplane.rest.forwarding import NO_PROXY, ForwardTrust
from controlplane.rest.headertrust import HeaderTrust
from controlplane.service import keys, links, locationfile, users
from controlplane.service.health import WriteHealth
from controlplane.service.passwords import HashCosts, Passwords
from controlplane.service.principal import Role, operator
from controlplane.service.sessions import Visitor
from controlplane.steady import SteadyClock
from controlplane.store import alerting, locations, sweep, tests
from controlplane.store.database import Database
from controlplane.store.locations import Location
from controlplane.store.tests import StoredTest
from controlplane.store.users import StoredUser
from tests.support.clock import FakeClock
from tests.support.databases import new_database
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker
from worker.clock import SystemClock
from worker.secret import Secret
from worker.web.connections import ClientLimits, serving

CHEAP = HashCosts(memory_kib=8, passes=1, lanes=1)
"""The least that there is: many tests sign in."""
LINE = "a boot"
"""The line of monotonic time that all of a test's processes are on."""


@dataclass(slots=True)
class Plane:
    """*context* is what the handlers see; replace it to start the control plane anew."""

    folder: Path
    clock: FakeClock
    database: Database
    context: Context
    url: str = ""

    def now(self) -> int:
        return epoch.milliseconds(self.context.clock)

    def restart(self) -> None:
        """Start anew with what a new process knows: the database, and that it has just started."""
        steady = SteadyClock(self.clock, LINE)
        self.context = Context(
            database=self.database,
            clock=steady,
            steady=steady,
            grace=Grace(epoch.milliseconds(self.clock)),
            health=self.context.health,
            hosts=self.context.hosts,
        )

    async def add_location(self, name: str = "office") -> ProtocolWorker:
        """A location, and a worker with its config file."""
        place = Location(
            id=locationfile.location_id(name),
            name=name,
            enabled=True,
            intake_url="http://127.0.0.1",
            created_at=self.now(),
        )
        async with self.database.write() as connection:
            await locations.add(connection, place)
        return await self.add_file(place.id, name)

    async def add_file(self, location: str, name: str) -> ProtocolWorker:
        new = locationfile.make(location, key_kind="x25519", intake_url=self.url)
        async with self.database.write() as connection:
            await locations.add_credential(connection, self.database.sealer, location, new.credential, now=self.now())
        path = self.folder / f"{name}.json"
        path.write_text(new.text.reveal())
        worker = ProtocolWorker.from_file(path, self.url)
        worker.clock = self.clock
        return worker

    async def add_test(
        self, location: str, public_id: str = "abc-def-ghi", *, period: int = 60, **changes: Any
    ) -> StoredTest:
        """A test that runs every *period* seconds."""
        name = changes.get("name", f"test {public_id}")
        padding = "x" * changes.get("padding", 0)
        stored = StoredTest(
            public_id=public_id,
            name=name,
            subtype="http",
            version=changes.get("version", 1),
            paused=changes.get("paused", False),
            period_ms=period * 1000,
            definition=json.dumps(http_test(name, tick_every=period, public_id=public_id, padding=padding)),
            modified_at=self.now(),
            tags=changes.get("tags", ()),
        )
        async with self.database.write() as connection:
            known = await tests.by_id(connection, public_id)
            await (tests.add if known is None else tests.replace)(connection, [stored], now=self.now())
            await tests.assign(connection, [stored], location, enabled=True, now=self.now())
        return stored

    async def add_key(self, *scopes: str, name: str = "ci") -> tuple[str, str]:
        """An API key and its application key."""
        new = await keys.create(self.database, self.clock, operator("tests"), name, scopes=scopes)
        return new.api_key.reveal(), new.app_key.reveal()

    async def add_user(self, name: str, role: Role, password: str | None = None) -> StoredUser:
        return await users.create(
            self.database,
            self.context.clock,
            operator("tests"),
            name,
            role=role,
            password=None if password is None else Secret(password),
            hasher=self.context.passwords,
        )

    async def session_of(self, name: str) -> str:
        """The token of a new session of a user who is there."""
        link = await links.create(self.database, self.context.clock, operator("tests"), name)
        token = Secret(link.path.reveal().rpartition("=")[2])
        new = await links.spend(self.database, self.context.clock, token, Visitor(address="127.0.0.1", agent="tests"))
        assert new is not None
        return new.token.reveal()

    async def sweep(self, *, mend: bool = False) -> None:
        """Do what the running process does every second."""
        now = self.now()
        expiry = self.context.grace.expiry(now)
        async with self.database.write() as connection:
            await sweep.settle_runs(connection, now=now)
            await sweep.settle_jobs(connection, now=now, expiry=expiry)
            await alerting.settle(connection, now=now, limit=sweep.BATCH)
            if mend:
                await sweep.mend_runs(connection, now=now)

    async def let_pass(self, seconds: int) -> None:
        """Time in which the process runs and nobody calls; a sweep at least every four seconds, which is no stall yet."""
        while seconds > 0:
            step = min(seconds, 4)
            self.clock.stall(step)
            await self.sweep()
            seconds -= step

    async def rows(self, *tables: Table) -> list[Sequence[Any]]:
        """Everything that is in *tables*, at one moment."""
        async with self.database.read() as connection:
            return [(await connection.execute(select(table))).all() for table in tables]


async def traced(plane: Plane, monkeypatch: pytest.MonkeyPatch, tell: Callable[[str], None]) -> None:
    """Have *tell* told of each statement, values included, before it is executed."""
    connect = sqlite3.connect

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(tell)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connected)
    await plane.database.close()  # its connections are opened anew


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Plane]:
    """Without a web server: for what is called directly."""
    clock = FakeClock()
    database = await new_database(folder)
    health = WriteHealth(database, clock)
    grace = Grace(epoch.milliseconds(clock))
    steady = SteadyClock(clock, LINE)
    context = Context(
        database=database,
        clock=steady,
        steady=steady,
        grace=grace,
        health=health,
        hosts=(),
        passwords=Passwords(CHEAP),
    )
    try:
        yield Plane(folder=folder, clock=clock, database=database, context=context)
    finally:
        await health.close()
        await database.close()


@asynccontextmanager
async def served(
    folder: Path,
    *,
    prefix: str = "",
    host: str | None = None,
    header_trust: HeaderTrust | None = None,
    forward_trust: ForwardTrust = NO_PROXY,
    provider: ProviderSettings | None = None,
) -> AsyncIterator[Plane]:
    """On a real socket. *host* stands for what an ingress calls us, *prefix* for the path of the public URL."""
    async with opened(folder) as plane:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"127.0.0.1:{listener.getsockname()[1]}"
            plane.url = f"http://{address}{prefix}"
            plane.context = replace(
                plane.context,
                hosts=(host or address,),
                intake_url=plane.url,
                public_urls=(plane.url,),
                header_trust=header_trust,
                forward_trust=forward_trust,
                provider=None if provider is None else IdentityProvider(provider, SystemClock()),
            )
            runner = site.runner(site.build(plane.context, public_urls=[plane.url]))
            async with serving(runner, listener, ClientLimits(connections=100)):
                yield plane

"""Runners that take requests of pages, beside a control plane in this process: minted tokens, real sockets, real claims."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from controlplane.service import apps
from controlplane.service.apps import MintedToken, WantedToken
from controlplane.service.principal import Principal
from tests.support.apptokens import PageRequest, digest, page_input
from tests.support.runnerplane import PlayedActions, PlayedRunner, RunnerPlane, keys_of, played_runner
from worker.actionrunner.executor import InstanceIdentity
from worker.actionrunner.identity import KeptIdentity
from worker.actionrunner.listener import PageAccess, PushListener
from worker.actionrunner.pushing import PushRuns
from worker.actionrunner.pushorder import PushAdmission
from worker.actionrunner.pushserving import push_port
from worker.actionrunner.serving import channel_now
from worker.actionrunner.sharedslots import SharedSlots
from worker.clock import SystemClock

HOST_URL = "https://runner.corp.example"
ALICE = Principal(name="alice@corp.example", via="api", scopes=frozenset())
DESK: dict[str, Any] = {
    "name": "desk",
    "runner": "berlin",
    "allow": ["user/*@corp.example"],
    "queries": {
        "customer": {
            "action": "data.jq",
            "input": {"program": ".", "value": {"id": {"$param": "id"}}},
            "params": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
        },
        "health": {
            "action": "http.request",
            "connection": "plane",
            "input": {"verb": "GET", "url": "/healthz"},
            "params": {"type": "object", "properties": {"id": {"type": "integer"}}},
        },
    },
}


class _Healthy:
    alive = ready = True


@dataclass(slots=True)
class Skew:
    """The time by which the runner believes itself later than it is."""

    by: timedelta = timedelta()


@dataclass(slots=True, kw_only=True)
class PushRunner:
    """One instance with its port; *counted* are the status and the code of each answer."""

    runner: PlayedRunner
    runs: PushRuns
    slots: SharedSlots
    port: int
    counted: list[tuple[int, str]]
    skew: Skew


@asynccontextmanager
async def push_runner(
    plane: RunnerPlane,
    identity: KeptIdentity,
    actions: PlayedActions | None = None,
    *,
    slots: int = 10,
    reserved: int = 2,
    several: bool = False,
    instance: str | None = None,
    host_url: str = HOST_URL,
    at: int = 0,
    origins: Sequence[str] = (),
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[PushRunner]:
    """An instance with both modes, until the block is left. It listens at port *at*, any without one.

    Pages of *origins* may ask, without any those of the control plane.
    """
    pool, clock = SharedSlots(slots, reserved), SystemClock()
    async with played_runner(plane, identity, actions, pool=pool, instance=instance) as runner:
        keys = keys_of(identity)
        skew = Skew()
        names = InstanceIdentity(urn=keys.urn, org=keys.org, instance=runner.instance, version="t")
        runs = PushRuns(
            PushAdmission(names, keys, lambda: channel_now(runner.channel, clock) + skew.by, several=several),
            runner.actions,
            pool,
            key=lambda: keys.signing,
            claim=runner.channel.claim,
            now=lambda: channel_now(runner.channel, clock),
            clock=clock,
            write_seconds=30,
        )
        access = PageAccess.of(host_url, (), origins or [plane.url])
        counted: list[tuple[int, str]] = []
        listener = PushListener(
            access, runs, away=lambda: None, count=lambda status, code: counted.append((status, code))
        )
        async with push_port(listener, _Healthy(), host="127.0.0.1", port=at, tls=tls) as port:
            try:
                yield PushRunner(runner=runner, runs=runs, slots=pool, port=port, counted=counted, skew=skew)
            finally:
                await runs.cut_short()


async def page_request(
    plane: RunnerPlane, params: Mapping[str, Any], *, by: Principal = ALICE, query: str = "customer"
) -> tuple[PageRequest, MintedToken]:
    """A request as a page of the app makes it, with a token that the control plane minted for it."""
    text = page_input(params)
    wanted = WantedToken(app="desk", query=query, digest=digest(text), origin=plane.url)
    minted = await apps.mint(plane.database, plane.clock, by, wanted)
    page = PageRequest(token=minted.token, text=text)
    page.path = minted.url.removeprefix(HOST_URL)
    page.set("Origin", plane.url)
    return page, minted

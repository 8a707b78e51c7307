"""Looks names up with the host's resolver, in a process of its own whose /etc/resolv.conf and /etc/hosts a test has replaced.

    python -m tests.integration.net.dns.host_look_up '{"names": […], "servers": […], "ipv6": false, "seconds": 5}'

prints one JSON object a name. `"cancel": true` starts the look-up of the first name, cancels it when a line comes in, and prints
whether every descriptor was given back.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvloop

from tests.integration.net.way import recorder
from tests.support.descriptors import open_descriptors
from tests.support.servers.door import nameservers
from tests.support.waiting import until
from worker.egress.hosts import Name
from worker.net.dns.resolver import Resolver
from worker.net.failure import DoorError


async def look_up(resolver: Resolver, name: str, seconds: float) -> dict[str, Any]:
    seen = recorder(seconds)
    try:
        found = await resolver.resolve(Name(name.removesuffix("."), absolute=name.endswith(".")), seen)
    except DoorError as error:
        return {"code": error.failure.code.value, "message": error.failure.message}
    return {"addresses": [str(address) for address in found], "server": seen.server}


async def cancel(resolver: Resolver, name: str) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    go = asyncio.Event()
    loop.add_reader(sys.stdin, go.set)
    before = open_descriptors()
    task = asyncio.create_task(look_up(resolver, name, 30))
    await go.wait()
    task.cancel()
    await asyncio.wait([task])
    await until(lambda: open_descriptors() == before)  # a thread of c-ares closes them
    return {"cancelled": task.cancelled()}


async def main(asked: dict[str, Any]) -> None:
    resolver = Resolver(nameservers(asked.get("servers", [])), use_host=True, ipv6=asked.get("ipv6", False))
    if asked.get("cancel"):
        print(json.dumps(await cancel(resolver, asked["names"][0])))
        return
    print(json.dumps([str(server) for server in resolver.in_order().servers]))
    for name in asked["names"]:
        print(json.dumps(await look_up(resolver, name, asked.get("seconds", 5))))


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))

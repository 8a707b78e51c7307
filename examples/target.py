"""A small company network on loopback for the demo to watch: a shop over HTTP and HTTPS, a TCP service, and a DNS server.

Four ports: HTTP, HTTPS, TCP, DNS (a fifth is for the demo's control plane). The certificate comes from a
CA made at start; its public half is written where the worker can be told to trust it.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import trustme
from aiohttp import web

NAMES = ("shop.demo.internal", "127.0.0.1")
LOOPBACK = "127.0.0.1"
HTTP, HTTPS, TCP, DNS, INTAKE = range(5)
FAILURES = 2
"""Requests that the checkout fails: runs half a minute apart."""


async def health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "orders": {"open": 17}, "regions": ["north", "south"]})


class Checkout:
    """Fails the first *FAILURES* requests and works from then on, so that an alert has an end."""

    def __init__(self) -> None:
        self._left = FAILURES

    async def answer(self, _: web.Request) -> web.Response:
        if not self._left:
            return web.json_response({"payment": "taken"})
        self._left -= 1
        return web.json_response({"error": "payment provider unreachable"}, status=503)


async def front_page(_: web.Request) -> web.Response:
    return web.Response(text="<html><body><h1>The shop</h1></body></html>", content_type="text/html")


class Zone(asyncio.DatagramProtocol):
    """Answers A for the demo's names, and NXDOMAIN for everything else."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        if question.name.to_text(omit_final_dot=True).lower() not in NAMES:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "127.0.0.1"))
        self._transport.sendto(reply.to_wire(), addr)


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.demo.internal\r\n")
    await writer.drain()
    writer.close()


async def serve(ports: Sequence[int], ca_file: Path) -> None:
    """Serve on *ports*, 0 taking a free one, and say on which once all are open. Raises OSError for one that is taken."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(ca_file))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(*NAMES).configure_cert(tls)
    application = web.Application()
    application.add_routes(
        [web.get("/", front_page), web.get("/health", health), web.get("/checkout", Checkout().answer)]
    )
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, ports[HTTP]).start()
    await web.TCPSite(runner, LOOPBACK, ports[HTTPS], ssl_context=tls).start()
    mail = await asyncio.start_server(greet, LOOPBACK, ports[TCP])
    zone, _ = await asyncio.get_running_loop().create_datagram_endpoint(Zone, local_addr=(LOOPBACK, ports[DNS]))
    listening = [*runner.addresses, mail.sockets[0].getsockname(), zone.get_extra_info("sockname")]
    print("ready", *(address[1] for address in listening), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--ports", type=int, nargs=4, required=True, metavar="PORT", help="for HTTP, HTTPS, TCP and DNS"
    )
    parser.add_argument("--ca-file", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        asyncio.run(serve(arguments.ports, arguments.ca_file))
    except (OSError, OverflowError) as error:
        sys.exit(f"the ports {arguments.ports} cannot all be listened on: {getattr(error, 'strerror', None) or error}")


if __name__ == "__main__":
    main()

"""A control plane that only feeds: it hands out jobs, checks and opens what comes back, and keeps nothing.

It speaks the real protocol with the real wire code, so the worker under test does all of its work. It is a process of its own and
is not measured. `GET /counts` tells what happened, and is how a benchmark asks; `GET /outcomes` hands over what has come back
since the last time; with `--seats`, `PUT /seats` changes them and `GET /seats` tells how many are taken. `first_pull_ns` is a
moment of this machine's monotonic clock, which all its processes share.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import uvloop
from aiohttp import web

from benchmarks.supply import Seats, Steady
from tests.support.jobs import job
from tests.support.received import ReceivedRequest, verify_request
from worker.secret import Secret
from worker.wire import envelope, messages, signing
from worker.wire.keys import generate
from worker.wire.messages import Job, Jobs, Pull, Results, ResultsReply

SECRET = Secret("0" * 64)
ACCESS_KEY = "0" * 32
LOCATION = "pl:benchmark-" + "0" * 32


class Feeder:
    """Hands out jobs of *definitions* as *supply* says."""

    def __init__(self, definitions: list[dict[str, Any]], supply: Steady | Seats) -> None:
        self.location_key = generate("x25519")
        self.results_key = generate("x25519")
        self.counts: Counter[str] = Counter()
        self.outcomes: list[dict[str, Any]] = []
        self._definitions = [messages.raw(definition) for definition in definitions]
        self._supply = supply
        self._kinds: dict[str, int] = {}
        """The number of its definition by job."""

    def config(self, url: str) -> dict[str, Any]:
        """The worker's config file."""
        return {
            "id": LOCATION,
            "intakeUrl": url,
            "accessKey": ACCESS_KEY,
            "secretAccessKey": SECRET.reveal(),
            "privateKey": self.location_key.pem.reveal(),
            "publicKey": {"pem": self.results_key.public.pem},
        }

    async def pull(self, request: web.Request) -> web.Response:
        verified, body = await self._verified(request)
        pull = messages.decode(Pull, body)
        if not self.counts["pulls"]:
            self.counts["first_pull_ns"] = time.monotonic_ns()
        self.counts["pulls"] += 1
        kinds, more = await self._supply.take(pull.free_slots)
        self.counts["dropped"] = self._supply.dropped
        if not kinds and not more:
            return self._signed(verified, 204, b"")
        self.counts["handed_out"] += len(kinds)
        jobs = Jobs(jobs=tuple(map(self._job, kinds)), more=more)
        sealed = envelope.seal(messages.encode(jobs), self.location_key.public, typ=envelope.JOBS, location=LOCATION)
        return self._signed(verified, 200, sealed)

    async def results(self, request: web.Request) -> web.Response:
        verified, body = await self._verified(request)
        opened = envelope.unseal(
            body, [self.results_key], typ=envelope.RESULTS, location=LOCATION, max_bytes=messages.MAX_PUSH_BYTES
        )
        results = messages.decode(Results, opened)
        for item in results.results:
            kind = self._kinds.pop(item.job, None)
            if kind is not None:  # a push may come twice
                self._supply.done(kind)
            outcome = orjson.loads(bytes(item.outcome))
            self.counts[outcome["status"]] += 1
            self.outcomes.append({key: outcome[key] for key in ("timings", "response", "failure", "unhealthy")})
        reply = ResultsReply(accepted=tuple(item.result for item in results.results))
        return self._signed(verified, 200, messages.encode(reply))

    async def tell_counts(self, _: web.Request) -> web.Response:
        return web.json_response(self.counts)

    async def tell_outcomes(self, _: web.Request) -> web.Response:
        outcomes, self.outcomes = self.outcomes, []
        return web.Response(body=orjson.dumps(outcomes))

    async def tell_seats(self, _: web.Request) -> web.Response:
        return web.json_response(self._seats().taken)

    async def change_seats(self, request: web.Request) -> web.Response:
        self._seats().set(await request.json())
        return web.Response(status=204)

    def _seats(self) -> Seats:
        if isinstance(self._supply, Seats):
            return self._supply
        raise web.HTTPNotFound

    def _job(self, kind: int) -> Job:
        name = str(uuid.uuid4())
        self._kinds[name] = kind
        now = round(datetime.now(UTC).timestamp() * 1000)
        return job(name, lease=str(uuid.uuid4()), test=self._definitions[kind], scheduled_at=now)

    async def _verified(self, request: web.Request) -> tuple[signing.VerifiedRequest, bytes]:
        body = await request.read()
        received = ReceivedRequest(method=request.method, path=request.path_qs, headers=request.headers, body=body)
        claim = signing.read_claim(request.headers)
        hosts = [request.headers["Host"]]
        return verify_request(claim, SECRET, received, hosts=hosts, now=datetime.now(UTC)), body

    @staticmethod
    def _signed(verified: signing.VerifiedRequest, status: int, body: bytes) -> web.Response:
        headers = signing.sign_reply(verified, status=status, now=datetime.now(UTC), retry_after=None, body=body)
        return web.Response(status=status, body=body, headers=headers)


async def serve(feeder: Feeder, write_config: Callable[[bytes], object]) -> None:
    application = web.Application(client_max_size=messages.MAX_PUSH_BYTES)
    application.add_routes(
        [
            web.post("/worker/v1/pull", feeder.pull),
            web.post("/worker/v1/results", feeder.results),
            web.get("/counts", feeder.tell_counts),
            web.get("/outcomes", feeder.tell_outcomes),
            web.get("/seats", feeder.tell_seats),
            web.put("/seats", feeder.change_seats),
        ]
    )
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    write_config(orjson.dumps(feeder.config(url)))
    print(url, flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="where to write the worker's config file")
    parser.add_argument("--definitions", type=Path, required=True, help="a JSON array of API tests")
    parser.add_argument("--rate", type=float, required=True, help="jobs a second")
    parser.add_argument(
        "--seats",
        type=int,
        nargs="+",
        help="jobs of each definition but the first that are under way at any time; the rate is the first one's then",
    )
    arguments = parser.parse_args()
    definitions = orjson.loads(arguments.definitions.read_bytes())
    supply = Seats(arguments.rate, arguments.seats) if arguments.seats else Steady(len(definitions), arguments.rate)
    uvloop.run(serve(Feeder(definitions, supply), arguments.config.write_bytes))


if __name__ == "__main__":
    main()

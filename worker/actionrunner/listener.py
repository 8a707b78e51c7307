"""The port for people's pages: who may ask at all, how much they may say, and the headers of the answer. It carries nothing out.

In this order: size as announced, Host, path, method, Origin, type; the body; whether the runner takes requests now. Then
`pushing` answers. Hosts and origins are compared whole: with the token's own origin this ends DNS rebinding. An answer before the
Origin is known has no headers for other pages. Bare probes of an orchestrator are on the same port, and ask for no host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from worker.actionrunner.pagebodies import MAX_BODY_BYTES, PageBodies, too_large
from worker.actionrunner.pushing import PushAnswer, PushRuns
from worker.actionrunner.pushorder import PushRefusedError
from worker.egress.hosts import WEB_PORTS
from worker.telemetry.status import Probed, probe_application
from worker.web.connections import ClientLimits
from worker.wire.answerproof import PROOF_HEADER

MOST_CONNECTIONS: Final = 200
"""Far more than the slots of a runner; an ingress keeps some tens. Those that ask nothing are cut first."""
UNANSWERED_BYTES: Final = 2 * 1024 * 1024
"""Of all heads that are not whole: a page's is a kilobyte."""
LIMITS: Final = ClientLimits(connections=MOST_CONNECTIONS, unanswered_bytes=UNANSWERED_BYTES)
AWAY_SECONDS: Final = 5
"""Retry-After while the runner takes no requests."""
PREFLIGHT_SECONDS: Final = 600
"""For which a browser may remember the answer to a preflight."""
_PATH: Final = re.compile(r"/v1/actions/([A-Za-z][A-Za-z0-9_.]{0,199})")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAccess:
    """*hosts* are Host headers, *origins* pages' origins, *prefixes* the paths below which an ingress may send requests."""

    hosts: Collection[str]
    origins: Collection[str]
    prefixes: Sequence[str] = ("",)

    @classmethod
    def of(cls, host_url: str | None, public_hosts: Sequence[str], origins: Sequence[str]) -> PageAccess:
        """Made of the registered URL and the operator's own lists; a list that is not empty counts alone."""
        parts = urlsplit(host_url or "")
        hosts = [name.lower() for name in public_hosts] or _authorities(host_url)
        return cls(hosts=frozenset(hosts), origins=frozenset(origins), prefixes=("", parts.path.rstrip("/")))

    def action(self, path: str) -> str | None:
        """The action that a request's *path* names, or None."""
        for prefix in self.prefixes:
            if path.startswith(prefix) and (found := _PATH.fullmatch(path.removeprefix(prefix))):
                return found[1]
        return None


def origin_of(url: str) -> str:
    """The origin of *url* as browsers write it (RFC 6454 section 6.2)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{_authority(url)}"


def _authority(url: str) -> str:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, WEB_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _authorities(url: str | None) -> list[str]:
    """The Host headers that mean *url*: with its port, and without one that its scheme has."""
    if url is None:
        return []
    authority = _authority(url)
    bare = authority.rpartition("]")[2]
    return [authority] if ":" in bare else [authority, f"{authority}:{WEB_PORTS[urlsplit(url).scheme]}"]


class PushListener:
    """The web application of the port. *away* names the reason why no request is taken now, or None.

    *count* is told the status and the code of every answer.
    """

    def __init__(
        self,
        access: PageAccess,
        runs: PushRuns,
        *,
        away: Callable[[], str | None],
        count: Callable[[int, str], None] = lambda _status, _code: None,
    ) -> None:
        self._access = access
        self._runs = runs
        self._away = away
        self._count = count
        self._bodies = PageBodies()

    def application(self, probed: Probed) -> web.Application:
        """Pages' requests, and an orchestrator's probes."""
        application = probe_application(probed)
        application.router.add_route("*", "/{anything:.*}", self.handle)
        return application

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        stranger = self._of_stranger(request)
        if stranger is not None:
            self._count(stranger.status, stranger.code)
            return _response(stranger, None)
        origin = request.headers["Origin"]
        answer = _preflight() if request.method == "OPTIONS" else await self._asked(request, origin)
        self._count(answer.status, answer.code)
        return _response(answer, origin)

    def _of_stranger(self, request: web.Request) -> PushAnswer | None:
        """The refusal of what no page of ours would send, by its head alone; other pages may not read it."""
        if (request.content_length or 0) > MAX_BODY_BYTES:
            return refused(413, "too_large", str(too_large()))
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._access.hosts:
            return refused(421, "host", "this is not a host that this runner answers for")
        if self._access.action(request.raw_path) is None:
            return refused(404, "path", "there is nothing at this path")
        if request.method not in ("POST", "OPTIONS"):
            return refused(405, "method", "expected POST")
        origins = request.headers.getall("Origin", [])
        if len(origins) != 1 or origins[0] not in self._access.origins:
            return refused(403, "origin", "this is not a page that may ask this runner")
        return None

    async def _asked(self, request: web.Request, origin: str) -> PushAnswer:
        if not _is_plain_json(request):
            return refused(415, "type", "expected application/json, as it is")
        try:
            body = await self._bodies.read(request)
        except PushRefusedError as error:
            return refused(error.status, error.code, str(error))
        away = self._away()
        if away is not None:
            return refused(503, "away", away, retry_after=AWAY_SECONDS)
        action = self._access.action(request.raw_path)
        assert action is not None, "its head was judged"
        return await self._runs.answer(body, origin=origin, action=action)


def refused(status: int, code: str, message: str, *, retry_after: int | None = None) -> PushAnswer:
    """A refusal that no token is known of, so that nothing signs it."""
    body = orjson.dumps({"error": {"code": code, "message": message}})
    return PushAnswer(status=status, body=body, code=code, retry_after=retry_after)


def _is_plain_json(request: web.Request) -> bool:
    coding = request.headers.get("Content-Encoding", "identity").lower()
    return request.content_type == "application/json" and coding in ("identity", "")


def _preflight() -> PushAnswer:
    return PushAnswer(status=204, body=b"", code="preflight")


def _response(answer: PushAnswer, origin: str | None) -> web.Response:
    """*origin* is that of a page that may read the answer; None where nothing is said to other pages."""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Origin"}
    if origin is not None:
        headers |= {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": f"{PROOF_HEADER}, Retry-After",
        }
    if answer.status == 204:
        return web.Response(status=204, headers=headers | _ALLOWED)
    if answer.proof:
        headers[PROOF_HEADER] = answer.proof
    if answer.retry_after is not None:
        headers["Retry-After"] = str(answer.retry_after)
    if answer.status == 405:
        headers["Allow"] = "POST, OPTIONS"
    response = web.Response(status=answer.status, body=answer.body, headers=headers, content_type="application/json")
    if answer.status in (408, 413):
        response.force_close()
    return response


_ALLOWED: Final = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "content-type",
    "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
}

"""The requests of a flow of credentials, without anybody who sends them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from worker.net.http.outgoing import HTTPCredentials, Outgoing
from worker.net.http.response import Response
from worker.net.http.url import parse

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def asking(url: str = "https://shop.test/", method: str = "GET", **members: object) -> Outgoing:
    return Outgoing(target=parse(url), method=method, **members)  # type: ignore[arg-type]


def answer(
    status: int = 200, body: bytes = b"", *headers: tuple[str, str], encodings: tuple[str, ...] = ()
) -> Response:
    raw = tuple((name.encode(), value.encode()) for name, value in headers)
    return Response(
        status=status, http_version="1.1", headers=headers, body=body, content_encodings=encodings, raw_headers=raw
    )


def requests(
    credentials: HTTPCredentials, outgoing: Outgoing, answers: Sequence[Response] = (), now: datetime = NOW
) -> list[Outgoing]:
    """What *credentials* send for *outgoing* when these are the *answers*, in their order; the rest are plain successes."""
    flow = credentials.flow(outgoing, now)
    sent = [next(flow)]
    for each in (*answers, answer(), answer()):
        try:
            sent.append(flow.send(each))
        except StopIteration:
            break
    return sent


def authorization(outgoing: Outgoing) -> str | None:
    return dict(outgoing.authorization).get("Authorization")

"""The facts of one response as labelled lines for people: address, redirects, TLS, certificate, answer. Pure text.

It reads the JSON of a result, which may come from a database or from another version: what is not there is not told, and nothing
in it can raise or reach a terminal as a command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

from worker.apitest.members import object_of, objects_of
from worker.text import printable

MAX_LINES = 5
"""Attempts or redirects shown of each kind."""
MAX_NAMES = 4
"""Names of a certificate that are shown."""
MAX_VALUES = 8
"""Values of a record set that are shown."""
MAX_VALUE = 200
"""Characters of one value."""


class Fact(NamedTuple):
    """*label* is a word of ours; *text* may hold what a target sent, made printable."""

    label: str
    text: str


def facts(outcome: Mapping[str, Any]) -> list[Fact]:
    """The facts of an outcome, or of a step of one."""
    response = object_of(outcome.get("response"))
    return [
        *_asked(object_of(outcome.get("request"))),
        *_again(outcome.get("retries", outcome.get("retry_count"))),
        *_way(object_of(outcome.get("dns_resolution"))),
        *(Fact("redirect", text) for text in _redirects(response.get("redirects"))),
        *_handshake(object_of(response.get("handshake"))),
        *_certificate(object_of(response.get("certificate"))),
        *_trust(response),
        *_answer(response),
    ]


def _asked(request: Mapping[str, Any]) -> Iterator[Fact]:
    """`GET https://shop.test/`, `shop.test:443`, `shop.test at 192.0.2.53:53`."""
    if request.get("url") is not None:
        yield Fact("request", " ".join(_said(request[name]) for name in ("method", "url") if request.get(name)))
    elif request.get("host") is not None:
        server = request.get("dns_server")
        at = "" if server is None else f" at {_place(server, request.get('dns_server_port'))}"
        yield Fact("request", _place(request["host"], request.get("port")) + at)


def _again(retries: object) -> Iterator[Fact]:
    if isinstance(retries, int) and not isinstance(retries, bool) and retries > 0:
        yield Fact("executions", f"{_said(retries + 1)}, of which the last decides")


def _way(resolution: Mapping[str, Any]) -> Iterator[Fact]:
    """Addresses that failed, then the one that was dialled."""
    for attempt in islice(objects_of(resolution.get("attempts")), MAX_LINES):
        if attempt.get("error"):
            place = _place(attempt.get("ip"), attempt.get("port"))
            yield Fact("tried", f"{place}: {_said(attempt['error']).removeprefix(f'{place}: ')}")
    if resolution.get("resolved_ip") is not None:
        server = resolution.get("server")
        by = "" if server is None else f", looked up by {_said(server)}"
        yield Fact("address", _place(resolution["resolved_ip"], resolution.get("resolved_port")) + by)


def _place(address: object, port: object) -> str:
    text = _said(address)
    if port is None:
        return text
    return f"[{text}]:{_said(port)}" if ":" in text else f"{text}:{_said(port)}"


def _redirects(value: object) -> Iterator[str]:
    for hop in islice(objects_of(value), MAX_LINES):
        yield f"{_said(hop.get('status_code'))} to {_said(hop.get('location'))}"


def _handshake(handshake: Mapping[str, Any]) -> Iterator[Fact]:
    agreed = [_said(handshake[name]) for name in ("protocol", "cipher") if handshake.get(name) is not None]
    if agreed:
        yield Fact("TLS", ", ".join(agreed))


def _certificate(certificate: Mapping[str, Any]) -> Iterator[Fact]:
    subject, issuer = (_name(certificate.get(name)) for name in ("subject", "issuer"))
    if subject or issuer:
        yield Fact("certificate", f"{subject or 'no subject'}, issued by {issuer or 'nobody'}")
    validity = object_of(certificate.get("valid"))
    begin, end = (_day(validity.get(name)) for name in ("from", "to"))
    if begin and end:
        left = certificate.get("days_left")
        yield Fact("valid", f"{begin} to {end}" + ("" if left is None else f", {_said(left)} days left"))
    if subject and isinstance(certificate.get("subject"), Mapping) and certificate["subject"].get("altName"):
        yield Fact("names", _said(certificate["subject"]["altName"]))


def _trust(response: Mapping[str, Any]) -> Iterator[Fact]:
    """The reason why a certificate is not accepted, and whether its issuer has revoked it."""
    fault, status = object_of(response.get("certificate_fault")), object_of(response.get("ocsp"))
    if fault.get("code") is not None:
        yield Fact("fault", f"{_said(fault['code'])}: {_said(fault.get('message', ''))}")
    if status.get("status") is not None:
        more = [_said(status[name]) for name in ("source", "reason") if status.get(name) is not None]
        yield Fact("revocation", ", ".join([_said(status["status"]), *more]))


def _answer(response: Mapping[str, Any]) -> Iterator[Fact]:
    """The status and size of an HTTP response, the records of a DNS answer."""
    if response.get("status_code") is not None:
        version, size = response.get("http_version"), response.get("body_size")
        parts = [_said(response["status_code"])]
        parts += [] if version is None else [f"HTTP/{_said(version)}"]
        parts += [] if size is None else [f"{_said(size)} bytes"]
        yield Fact("response", ", ".join(parts))
    for record in islice(objects_of(response.get("records")), MAX_LINES):
        values = record.get("values")
        found = [_said(value) for value in islice(values, MAX_VALUES)] if isinstance(values, list) else []
        yield Fact("records", f"{_said(record.get('type'))} {', '.join(found) or _said(record.get('rcode'))}")


def _name(value: object) -> str:
    """The common name of a subject or issuer; all of its parts where there is none."""
    if isinstance(value, str):
        return _said(value)
    parts = object_of(value)
    if parts.get("CN"):
        return _said(parts["CN"])
    shown = [f"{_said(name)}={_said(part)}" for name, part in islice(parts.items(), MAX_NAMES)]
    return ", ".join(shown)


def _day(value: object) -> str:
    """Epoch milliseconds as a date; nothing where they are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    try:
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return ""


def _said(value: object) -> str:
    return printable(str(value), MAX_VALUE)

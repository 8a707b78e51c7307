"""One request as the fields of HTTP/2 (RFC 9113 §8.3.1). Names go out in lower case, as the protocol has no others.

What speaks of a connection of HTTP/1.1 is left out (§8.2.2), be it written by the author: no server may accept it.
"""

from __future__ import annotations

from typing import Final

from worker.net.http.fields import OWS, Fields, first_value
from worker.net.http.outgoing import Outgoing
from worker.net.http.request import fields_to_send

_OF_A_CONNECTION: Final = frozenset(
    {"connection", "host", "http2-settings", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)
"""Host among them: its value is `:authority`."""


def request_fields(
    outgoing: Outgoing, default_headers: Fields = (), cookie: str | None = None
) -> list[tuple[bytes, bytes]]:
    """The pseudo-fields, then all others in their order. *cookie* takes the place of the author's Cookie header, if any."""
    target = outgoing.target
    authority = first_value(outgoing.headers, "host")
    fields = [
        (b":method", outgoing.method.encode("latin-1")),
        (b":scheme", target.scheme.encode("latin-1")),
        (b":authority", (target.authority if authority is None else authority.strip(OWS)).encode("latin-1")),
        (b":path", target.path.encode("latin-1")),
    ]
    for name, value in fields_to_send(outgoing, default_headers, cookie):
        lower, stripped = name.lower(), value.strip(OWS)
        if lower not in _OF_A_CONNECTION and (lower != "te" or stripped.lower() == "trailers"):
            fields.append((lower.encode("latin-1"), stripped.encode("latin-1")))
    return fields

"""The connection that a TCP probe attempted."""

from __future__ import annotations

from worker.apitest.observation import ProbeResponse

OUTCOMES = ("established", "refused", "timeout")


class TCPConnection(ProbeResponse, frozen=True, kw_only=True):
    """The end of the connection attempt: one of OUTCOMES."""

    outcome: str

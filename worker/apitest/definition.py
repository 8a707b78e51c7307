"""A parsed API test: what to ask, what to demand, and what of it this version cannot do yet."""

from __future__ import annotations

from dataclasses import dataclass

from worker.apitest.assertion import Assertion
from worker.apitest.request import ProbeRequest
from worker.apitest.scheduling import Scheduling


@dataclass(frozen=True, slots=True, kw_only=True)
class APITest:
    """*request* is None exactly when *requires_update* is not empty: then nothing is run and each entry names what is missing.

    *public_id* is empty for a definition that no control plane has named yet. *tick_every* in seconds, None if absent. *ignored*
    names what the definition says and nobody here does: the test is run without it. *scheduling* is for whoever schedules it.
    """

    name: str
    subtype: str
    public_id: str = ""
    version: int = 1
    request: ProbeRequest | None = None
    assertions: tuple[Assertion, ...] = ()
    tick_every: int | None = None
    scheduling: Scheduling | None = None
    save_response_body: bool = True
    requires_update: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

"""The value that every handler is given; `app` makes it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from controlplane.counters import Counters
from controlplane.leases import Grace
from controlplane.rest.bodies import BodyBudget
from controlplane.rest.callers import KnownCallers
from controlplane.rest.failures import KeyFailures
from controlplane.rest.forwarding import HEADER, NO_PROXY, ForwardTrust
from controlplane.rest.headertrust import HeaderTrust
from controlplane.rest.metrics import Scrapes, Sources
from controlplane.rest.series import ALL_TESTS, SeriesChoice
from controlplane.service.attempts import SignInAttempts
from controlplane.service.health import WriteHealth
from controlplane.service.mintrates import MintRates
from controlplane.service.passwords import Passwords
from controlplane.service.runnerkeys import RunnerKeyring
from controlplane.service.wakeups import Wakeups
from controlplane.steady import SteadyClock
from controlplane.store.database import Database
from worker.clock import Clock
from worker.web.certificate import ServedCertificate

if TYPE_CHECKING:
    from controlplane.identity.provider import IdentityProvider  # imported where a provider is named


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """*hosts* are the authorities that requests may be signed for: the public URLs' own. *certificate* is None without TLS.
    *steady* is *clock* where that is steady: its figures are shown.

    *callers* are those that were heard lately, for refusals while the database does not answer.
    *public_urls* are those that a runner's requests may be meant for, without a slash at the end.
    *intake_url* is what the config files of new locations say. *bodies* bounds what is read, *failures* how often somebody may
    show keys that open nothing. *counters* and *series* are for metrics. *forward_trust* tells visitors behind a proxy apart.
    *passwords*, *sign_ins*, *header_trust* and *provider* are for users of the pages.
    """

    database: Database
    clock: Clock
    grace: Grace
    health: WriteHealth
    steady: SteadyClock | None = None
    certificate: ServedCertificate | None = None
    hosts: Collection[str]
    public_urls: Collection[str] = ()
    intake_url: str = "http://127.0.0.1:8080"
    bodies: BodyBudget = field(default_factory=BodyBudget)
    callers: KnownCallers = field(default_factory=KnownCallers)
    counters: Counters = field(default_factory=Counters)
    series: SeriesChoice = ALL_TESTS
    passwords: Passwords = field(default_factory=Passwords)
    forward_trust: ForwardTrust = NO_PROXY
    header_trust: HeaderTrust | None = None
    provider: IdentityProvider | None = None
    failures: KeyFailures = field(init=False)
    sign_ins: SignInAttempts = field(init=False)
    mints: MintRates = field(init=False)
    scrapes: Scrapes = field(init=False)
    runner_keyring: RunnerKeyring = field(init=False)
    wakeups: Wakeups = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "failures", KeyFailures(self.clock))
        object.__setattr__(self, "sign_ins", SignInAttempts(self.clock))
        object.__setattr__(self, "mints", MintRates(self.clock))
        object.__setattr__(self, "runner_keyring", RunnerKeyring(self.database))
        object.__setattr__(self, "wakeups", Wakeups(self.database, self.clock))
        sources = Sources(
            database=self.database,
            clock=self.clock,
            health=self.health,
            counters=self.counters,
            steady=self.steady,
            certificate=self.certificate,
            series=self.series,
        )
        object.__setattr__(self, "scrapes", Scrapes(sources))


CONTEXT = web.AppKey("context", Context)


def is_present(request: web.Request) -> bool:
    """Tell if who asks still waits to be answered. Asked in other threads too, while the loop may close the connection."""
    transport = request.transport
    return transport is not None and not transport.is_closing()


def visitor_address(request: web.Request) -> str:
    """The address by which failures are counted, which is shown and logged: that of who asks, also behind a trusted proxy."""
    trust = request.app[CONTEXT].forward_trust
    return trust.visitor(request.remote or "", request.headers.getall(HEADER, ()))

"""Findings of `doctor`: what is right, what is not, and the cure; and the judgements that only values take. Tries nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum

from worker.config.load import LocalConfig
from worker.egress.policy import Policy
from worker.text import counted, printable

CLOCK_SECONDS = 30.0
"""Difference of the clocks that people notice in the times of results."""

WORKER_BYTES = 105 * 1024 * 1024
"""A worker with its evaluators that does nothing else than pull, as docs/guide.md has it."""
BODIES_OF_A_RUN = 2
"""A body as it came, and once decompressed."""
DESCRIPTORS_OF_A_RUN = 4
DESCRIPTORS_OF_A_WORKER = 64


class State(Enum):
    """*DOUBTFUL*: a worker runs with it, and may not do what was meant."""

    RIGHT = "right"
    DOUBTFUL = "doubtful"
    WRONG = "wrong"


_MARKS = {State.RIGHT: "✓", State.DOUBTFUL: "!", State.WRONG: "✗"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was tried. *found* is a sentence on what was seen, *cure* what to do, "" where there is nothing to."""

    part: str
    state: State
    found: str
    cure: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self) | {"state": self.state.value}

    def as_text(self) -> str:
        text = f"{_MARKS[self.state]} {self.part:<14}  {printable(self.found)}"
        return f"{text}\n{'':18}cure: {printable(self.cure)}" if self.cure else text


def right(part: str, found: str) -> Finding:
    return Finding(part=part, state=State.RIGHT, found=found)


def doubtful(part: str, found: str, cure: str) -> Finding:
    return Finding(part=part, state=State.DOUBTFUL, found=found, cure=cure)


def wrong(part: str, found: str, cure: str) -> Finding:
    return Finding(part=part, state=State.WRONG, found=found, cure=cure)


def of_clock(ahead: float) -> Finding:
    """Judge by how many seconds the control plane's clock is *ahead*."""
    if abs(ahead) < CLOCK_SECONDS:
        return right("clock", f"within {max(2, round(abs(ahead)))} s of the control plane's")
    verb = "behind" if ahead > 0 else "ahead of"
    found = f"this machine's is {abs(ahead):.0f} s {verb} the control plane's; requests are signed with a correction"
    return doubtful("clock", found, "synchronise it (NTP): certificates and the times of logs go by it")


def of_memory(config: LocalConfig, available: int | None) -> Finding:
    """Judge whether all slots may hold their largest body at once within *available* bytes."""
    needed = WORKER_BYTES + config.concurrency * BODIES_OF_A_RUN * config.max_body_size
    bodies = f"bodies of {config.max_body_size / 1e6:g} MB"
    slots = f"{counted(config.concurrency, 'slot')} with {bodies} may take {_mebibytes(needed)}"
    if available is None:
        return right("memory", f"{slots}; the system tells no limit")
    if needed <= available:
        return right("memory", f"{slots} of {_mebibytes(available)}")
    cure = "raise the container's limit, or lower concurrency or maxBodySize: the kernel kills what takes more"
    return doubtful("memory", f"{slots}, and there are {_mebibytes(available)}", cure)


def of_descriptors(config: LocalConfig, available: int) -> Finding:
    """Judge whether *available* files and sockets suffice for all slots at once."""
    needed = DESCRIPTORS_OF_A_WORKER + config.concurrency * DESCRIPTORS_OF_A_RUN
    if needed <= available:
        return right("descriptors", f"{available} may be open, {needed} are needed at most")
    return doubtful(
        "descriptors", f"{available} may be open, and {needed} may be needed", "raise `ulimit -n`, or lower concurrency"
    )


def of_policy(config: LocalConfig, policy: Policy) -> list[Finding]:
    """The traps: rules without effect, internal targets that stay denied, and their names asked of public servers."""
    found = [
        doubtful("policy", warning, "`synthetics-worker policy HOST` explains a decision")
        for warning in policy.warnings()
    ]
    if config.enable_default_blocked_ip_ranges and not config.allow_ranges:
        reason = "private, loopback and link-local addresses are denied, and no range is allowed: internal targets end as DENIED"
        found.append(doubtful("policy", reason, "allow what is to be tested: whitelistedRange.4=10.1.0.0/16"))
    public = [str(server) for server in config.dns_servers if server.address.is_global]
    if config.allow_ranges and public and not config.dns_use_host:
        reason = f"internal ranges are allowed, and names are asked of public servers alone: {', '.join(public)}"
        found.append(doubtful("policy", reason, "name the network's own servers by dnsServer, or set dnsUseHost"))
    if config.allowed_domain_names and not config.blocked_domain_names:
        reason = "allowedDomainNames forbids nothing by itself"
        found.append(doubtful("policy", reason, 'block "*" by blockedDomainNames for these names and no others'))
    return found or [right("policy", "no rule is without effect")]


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"

"""Explains the policy's word on a host to the person at the terminal: every address, the rule, and what would change it.

For the operator only: it names addresses. The caller looks names up, and only those that the policy lets it look up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from worker.egress.policy import Decision, Kind, Policy
from worker.egress.rules import NAT64_PREFIXES

NAME = "name"
"""The subject of the row about the name itself. An address written as a host has one only where a domain rule matches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One judgement. *subject* is "name" or an address, *embedding* the form in which the address above carries this one."""

    subject: str
    embedding: str | None
    allowed: bool
    rule: str
    change: str | None
    """What an operator would do to have it the other way round, None where nothing would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """*looked_up* is false where the name itself is refused. *reachable* says whether a test gets through to any address."""

    host: str
    looked_up: bool
    reachable: bool
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, object]:
        rows = [asdict(row) for row in self.rows]
        return {"host": self.host, "looked_up": self.looked_up, "reachable": self.reachable, "rows": rows}

    def as_text(self) -> str:
        """Several lines, the last one without a line break."""
        width = max(len(row.subject) for row in self.rows)
        lines = [f"{self.host}: {self._summary()}"]
        for row in self.rows:
            lines.append(f"  {row.subject:{width}}  {_words(row)}")
            if row.change is not None:
                lines.append(f"  {'':{width}}  {row.change}")
        return "\n".join(lines)

    def _summary(self) -> str:
        if not self.looked_up:
            return "not looked up"
        if self.rows[-1].subject == NAME:
            return "no address was found"
        return "tests may reach it" if self.reachable else "tests may not reach it"


def explain(policy: Policy, host: str, addresses: Sequence[IPv4Address | IPv6Address]) -> Explanation:
    """The whole reasoning about *host*, of which *addresses* are the look-up's answers in their order (or itself, parsed)."""
    name = policy.judge_name(host)
    literal = [str(address) for address in addresses] == [host]
    rows = [] if literal and name.kind is Kind.NO_RULE else [_row(NAME, host, name)]
    if name.allowed:
        for address in addresses:
            for reading, decision in policy.readings(address):
                rows.append(_row(str(reading), str(ip_network(reading)), decision))
    reachable = name.allowed and any(policy.judge(address).allowed for address in addresses)
    return Explanation(host=host, looked_up=name.allowed, reachable=reachable, rows=tuple(rows))


def _row(subject: str, value: str, decision: Decision) -> Row:
    return Row(
        subject=subject,
        embedding=decision.embedding,
        allowed=decision.allowed,
        rule=decision.rule,
        change=_change(decision, value),
    )


def _change(decision: Decision, value: str) -> str | None:
    if decision.option is None:
        return None
    if decision.kind in {Kind.ALLOWED_NAME, Kind.ALLOWED_RANGE}:
        return f"to judge it without: take the rule out of {decision.option}"
    if decision.option == NAT64_PREFIXES:
        return f"to allow it: {decision.option} with the translator's prefix"
    return f"to {'deny' if decision.allowed else 'allow'} it: {decision.option}={value}"


def _words(row: Row) -> str:
    verb = "allowed" if row.allowed else "denied"
    words = row.rule if row.rule.startswith(verb) else f"{verb}: {row.rule}"
    return f"inside it ({row.embedding}): {words}" if row.embedding else words

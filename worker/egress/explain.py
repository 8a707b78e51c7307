"""Explanation of the policy's decision on a host, for the terminal: every address, the rule, and the change that would lift it.

For the operator only: it names addresses. The caller looks names up, and only those that the policy lets it look up.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from msgspec import Struct
from msgspec.structs import asdict

from worker.egress.hosts import Address, Host, Name
from worker.egress.policy import Decision, DecisionKind, Policy
from worker.egress.rules import NAT64_PREFIXES
from worker.errors import HostError

NAME = "name"
"""The subject of the row about the name itself. An address written as a host has one only where a domain rule matches it."""


class Row(Struct, frozen=True, kw_only=True):
    """One judgement. *subject* is "name" or an address, *embedding* the form in which the address above carries this one."""

    subject: str
    embedding: str | None
    allowed: bool
    rule: str
    change: str | None
    """The change by which an operator has it the other way round, None where there is none."""


class Explanation(Struct, frozen=True, kw_only=True):
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


def explain(policy: Policy, host: Host, answers: Sequence[Address]) -> Explanation:
    """Give the whole reasoning about *host*. *answers* are those of its look-up in their order; an address needs none."""
    name = policy.judge_name(host)
    addresses = answers if isinstance(host, Name) else (host,)
    rows = [_row(NAME, str(host), name)] if isinstance(host, Name) or name.kind is not DecisionKind.NO_RULE else []
    if name.allowed:
        for address in addresses:
            for reading, decision in policy.readings(address):
                rows.append(_row(str(reading), str(ip_network(reading)), decision))
    reachable = name.allowed and any(policy.judge(address).allowed for address in addresses)
    return Explanation(host=str(host), looked_up=name.allowed, reachable=reachable, rows=tuple(rows))


def unreadable(text: str, error: HostError) -> Explanation:
    """Explain a *text* that is neither an address nor a host name, and so is never looked up."""
    row = Row(subject=NAME, embedding=None, allowed=False, rule=error.reason, change=None)
    return Explanation(host=text, looked_up=False, reachable=False, rows=(row,))


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
    if decision.kind in {DecisionKind.ALLOWED_NAME, DecisionKind.ALLOWED_RANGE}:
        return f"to judge it without: take the rule out of {decision.option}"
    if decision.option == NAT64_PREFIXES:
        return f"to allow it: {decision.option} with the translator's prefix"
    return f"to {'deny' if decision.allowed else 'allow'} it: {decision.option}={value}"


def _words(row: Row) -> str:
    verb = "allowed" if row.allowed else "denied"
    words = row.rule if row.rule.startswith(verb) else f"{verb}: {row.rule}"
    return f"inside it ({row.embedding}): {words}" if row.embedding else words

"""The operator's last word: rules that allow or deny an order by its action, connection, caller and merged input. Pure.

Nothing is allowed by default. A rule that denies wins over every one that allows. A condition is met only by a field that is
there. A URL is judged by its parts as they are sent, never by its text, and an HTTP request without a connection only by a rule
that says which URLs it means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from worker.actionrunner.globs import PartGlob
from worker.actions.action import ActionFailure
from worker.actions.weburl import absolute, plain_path

FREE_URLS: Final = "http.request"
"""The action that can reach hosts which no connection names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedOrder:
    """The facts of one order that rules are about. *given* is the input with what the connection adds to it."""

    action: str
    connection: str | None
    client: str
    caller: str
    given: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """A text among globs, or a value among *values*."""

    globs: tuple[PartGlob, ...] = ()
    values: tuple[Any, ...] = ()

    def holds(self, value: Any) -> bool:
        if any(type(value) is type(known) and value == known for known in self.values):
            return True
        return isinstance(value, str) and any(glob.matches(value) for glob in self.globs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """A number from *least* to *most*."""

    least: float | None = None
    most: float | None = None

    def holds(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class URLParts:
    """A URL by its parts; None stands for every value. *paths* refuse what two servers could read differently."""

    schemes: tuple[str, ...] | None = None
    hosts: tuple[PartGlob, ...] | None = None
    ports: tuple[int, ...] | None = None
    paths: tuple[PartGlob, ...] | None = None

    def holds(self, value: Any) -> bool:
        """Raises ActionFailure for a URL that cannot be judged."""
        target = absolute(value)
        if self.schemes is not None and target.scheme not in self.schemes:
            return False
        if self.ports is not None and target.port not in self.ports:
            return False
        if self.hosts is not None and not any(glob.matches(target.host.removesuffix(".")) for glob in self.hosts):
            return False
        if self.paths is None:
            return True
        path = plain_path(target)
        return any(glob.matches(path) for glob in self.paths)


FieldCondition: TypeAlias = OneOf | Between | URLParts


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most *most* orders in any *seconds*, counted apart for each combination of the fields *by*."""

    most: int
    seconds: float
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRule:
    """*allows* or denies. None stands for every connection, client, caller."""

    name: str
    place: str
    allows: bool
    action: PartGlob
    connections: tuple[PartGlob, ...] | None = None
    clients: tuple[str, ...] | None = None
    callers: tuple[PartGlob, ...] | None = None
    when: tuple[tuple[str, FieldCondition], ...] = ()
    rate: Rate | None = None
    concurrency: int | None = None

    def objection(self, asked: AskedOrder) -> str | None:
        """The first part of the rule that *asked* does not meet, or None. Raises ActionFailure."""
        if not self.action.matches(asked.action):
            return "it is about other actions"
        if self.connections is not None and not _any(self.connections, asked.connection):
            return "it is about other connections"
        if self.clients is not None and asked.client not in self.clients:
            return "it is about other clients"
        if self.callers is not None and not _any(self.callers, asked.caller):
            return "it is about other callers"
        if self.allows and asked.connection is None and asked.action == FREE_URLS and not self._names_urls():
            return "it does not say which URLs it allows, and the order has no connection"
        for field, condition in self.when:
            if not _met(condition, field, asked.given, every=self.allows):
                return f"the field {field} does not meet it"
        return None

    def _names_urls(self) -> bool:
        return any(isinstance(condition, URLParts) for _, condition in self.when)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalDecision:
    """The word of the policy. *rule* is the one that decided; None where none is about the order."""

    allowed: bool
    reason: str
    rule: LocalRule | None = None
    remedy: str = ""
    """The change that would allow it."""


@dataclass(frozen=True, slots=True)
class LocalPolicy:
    """Rules, in the order in which they are written."""

    rules: tuple[LocalRule, ...]

    def judge(self, asked: AskedOrder) -> LocalDecision:
        near: tuple[LocalRule, str] | None = None
        allowing: LocalRule | None = None
        for rule in self.rules:
            try:
                objection = rule.objection(asked)
            except ActionFailure as failure:
                # Not judged is not allowed, whatever other rules would say of it.
                return LocalDecision(allowed=False, reason=str(failure), rule=rule, remedy="order another URL")
            if objection is None and not rule.allows:
                remedy = f"change or remove the rule {rule.name} ({rule.place})"
                return LocalDecision(allowed=False, reason=f"the rule {rule.name} denies it", rule=rule, remedy=remedy)
            if objection is None:
                allowing = allowing or rule
            elif rule.allows and rule.action.matches(asked.action):
                near = near or (rule, objection)
        if allowing is not None:
            return LocalDecision(allowed=True, reason=f"the rule {allowing.name} allows it", rule=allowing)
        return _nothing_allows(asked, near)


def _nothing_allows(asked: AskedOrder, near: tuple[LocalRule, str] | None) -> LocalDecision:
    if near is None:
        return LocalDecision(
            allowed=False,
            reason="no rule is about this action",
            remedy=f"a rule `allow: {asked.action}` in the policy, or the action in actionsAllowlist",
        )
    rule, objection = near
    return LocalDecision(
        allowed=False,
        reason=f"no rule allows it; {rule.name} would, but {objection}",
        remedy=f"widen the rule {rule.name} ({rule.place})",
    )


def _any(globs: Sequence[PartGlob], text: str | None) -> bool:
    return text is not None and any(glob.matches(text) for glob in globs)


def _met(condition: FieldCondition, field: str, given: Mapping[str, Any], *, every: bool) -> bool:
    """Tell if *condition* is met: of a list *every* member has to meet the condition, or, for a rule that denies, any."""
    value: Any = given
    for step in field.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return False
        value = value[step]
    if not isinstance(value, list):
        return condition.holds(value)
    held = [condition.holds(member) for member in value]
    return bool(held) and (all(held) if every else any(held))

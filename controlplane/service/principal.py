"""Principals: who asks for something, and the scopes that let them. The one table of scopes; every use case that changes or reads
for somebody asks here first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Literal

from controlplane.errors import ForbiddenError, UnusableError


class KeyScope(Enum):
    """A right that a key carries. The values are what `key create --scopes` and the database say."""

    READ = "read"
    WRITE = "write"
    TRIGGER = "trigger"
    ADMIN = "admin"


MEANINGS = {
    KeyScope.READ.value: "read tests, results, locations, variables and the audit log",
    KeyScope.WRITE.value: "create, change and delete tests, locations and variables",
    KeyScope.TRIGGER.value: "run tests now, alone or in a batch, and follow that batch",
    KeyScope.ADMIN.value: "manage users: who may sign in to the pages, and as what",
    "action/GLOB": "order the private actions whose names it covers, as action/http.*",
    "workflow/GLOB": "start the workflows whose names it covers, as workflow/restart-*",
}
"""Each scope in words, for help texts and the API's description."""


class Role(Enum):
    """The part of a user of the pages."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


ROLE_SCOPES = {
    Role.VIEWER: frozenset({KeyScope.READ}),
    Role.EDITOR: frozenset({KeyScope.READ, KeyScope.WRITE, KeyScope.TRIGGER}),
    Role.ADMIN: frozenset(KeyScope),
}
"""The rights of each role: those of a key with these scopes."""
_ROLE_ACTIONS: dict[Role, tuple[str, ...]] = {Role.VIEWER: (), Role.EDITOR: (), Role.ADMIN: ("**",)}
"""Private actions act inside a private network: only an administrator orders them by hand. Others get a key that may."""

Via = Literal["command", "api", "page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """*name* is what the audit log and `created_by` show; *key* the id of its pair of keys, empty for a person at the shell.

    *actions* are globs over the names of the private actions that may be ordered, *workflows* over those of workflows.
    """

    name: str
    via: Via
    scopes: frozenset[KeyScope]
    key: str = ""
    actions: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()

    def require(self, *any_of: KeyScope) -> None:
        """Raise ForbiddenError unless one of *any_of* is held."""
        if not self.scopes.intersection(any_of):
            raise ForbiddenError(self.name, any_of[0].value)

    def may_act(self, action: str) -> bool:
        """Tell if the private action of this name may be ordered."""
        return any(matches(pattern, action) for pattern in self.actions)

    def require_action(self, action: str) -> None:
        """Raise ForbiddenError unless *action* may be ordered."""
        if not self.may_act(action):
            raise ForbiddenError(self.name, f"{ACTION}{action}")

    def may_start(self, workflow: str) -> bool:
        """Tell if the workflow of this name may be started."""
        return any(matches(pattern, workflow) for pattern in self.workflows)

    def require_workflow(self, workflow: str) -> None:
        """Raise ForbiddenError unless *workflow* may be started."""
        if not self.may_start(workflow):
            raise ForbiddenError(self.name, f"{WORKFLOW}{workflow}")

    def require_grant(self, scope: str) -> None:
        """Raise ForbiddenError unless the *scope*, as `read_scopes` returns it, is held: what is given away."""
        known = {each.value: each for each in KeyScope}.get(scope)
        if known is not None:
            return self.require(known)
        over_workflows = scope.startswith(WORKFLOW)
        glob = scope.removeprefix(WORKFLOW if over_workflows else ACTION)
        held = self.workflows if over_workflows else self.actions
        if glob not in held and "**" not in held and ("*" in glob or not any(matches(each, glob) for each in held)):
            raise ForbiddenError(self.name, scope)
        return None

    def may_see(self, run: str) -> bool:
        """Tell if runs of *run*, the name of an action or `workflow/NAME`, may be seen: whoever may make them may."""
        name = run.removeprefix(WORKFLOW)
        return self.may_act(run) if name == run else self.may_start(name)

    def require_any_run(self) -> None:
        """Raise ForbiddenError for who may make no run at all."""
        if not self.actions and not self.workflows:
            raise ForbiddenError(self.name, f"{ACTION}*")


ACTION = "action/"
"""Begins a scope over private actions: `action/http.*`. A star stays within one part of a name, two cross."""
WORKFLOW = "workflow/"
"""Begins a scope over workflows: `workflow/restart-*`; and what a run is of, where that is a workflow."""
_GLOB = re.compile(r"[A-Za-z0-9_.*]{1,200}")
_WORKFLOW_GLOB = re.compile(r"[A-Za-z0-9_*-]{1,100}")


@lru_cache(maxsize=1000)
def _pattern(glob: str) -> re.Pattern[str]:
    parts = (
        "[^.]*" if part == "*" else ".*" if part == "**" else re.escape(part) for part in re.split(r"(\*\*|\*)", glob)
    )
    return re.compile("".join(parts))


def matches(glob: str, action: str) -> bool:
    """Tell if *glob* covers the name *action*."""
    return _pattern(glob).fullmatch(action) is not None


def operator(name: str) -> Principal:
    """Somebody at a shell that opens the database itself: nothing is kept from them."""
    everything = ("**",)
    return Principal(
        name=name[:200] or "operator",
        via="command",
        scopes=frozenset(KeyScope),
        actions=everything,
        workflows=everything,
    )


def read_role(written: str) -> Role:
    """The role of this name. Raises UnusableError with those that there are."""
    found = {role.value: role for role in Role}.get(written)
    if found is None:
        expected = ", ".join(role.value for role in Role)
        raise UnusableError(f"{written[:40]!r} is not a valid role: expected one of {expected}", field="role")
    return found


def user_principal(name: str, role: Role) -> Principal:
    """Somebody who has signed in to the pages."""
    everything_or_nothing = _ROLE_ACTIONS[role]
    return Principal(
        name=name,
        via="page",
        scopes=ROLE_SCOPES[role],
        actions=everything_or_nothing,
        workflows=everything_or_nothing,
    )


def read_scopes(written: Iterable[str]) -> tuple[str, ...]:
    """The scopes of their names, in the order of the table, then those over actions and workflows.

    Raises UnusableError with what there is.
    """
    names = [name.strip() for name in written if name.strip()]
    known = [scope.value for scope in KeyScope]
    expected = f"expected some of {', '.join(known)}, {ACTION}GLOB, {WORKFLOW}GLOB"
    for name in names:
        if name not in known and not _is_action_scope(name) and not _is_workflow_scope(name):
            raise UnusableError(f"{name[:40]!r} is not a valid scope: {expected}")
    if not names:
        raise UnusableError(f"a key without a scope opens nothing: {expected}")
    by_name = dict.fromkeys(name for name in names if name not in known)
    return (*(name for name in known if name in names), *by_name)


def _is_action_scope(name: str) -> bool:
    return name.startswith(ACTION) and _GLOB.fullmatch(name.removeprefix(ACTION)) is not None


def _is_workflow_scope(name: str) -> bool:
    return name.startswith(WORKFLOW) and _WORKFLOW_GLOB.fullmatch(name.removeprefix(WORKFLOW)) is not None


def held(stored: Sequence[str]) -> frozenset[KeyScope]:
    """The scopes of a stored key. A name that a later version wrote is no right here."""
    known = {scope.value: scope for scope in KeyScope}
    return frozenset(known[name] for name in stored if name in known)


def held_actions(stored: Sequence[str]) -> tuple[str, ...]:
    """The globs over actions of a stored key."""
    return tuple(name.removeprefix(ACTION) for name in stored if _is_action_scope(name))


def held_workflows(stored: Sequence[str]) -> tuple[str, ...]:
    """The globs over workflows of a stored key."""
    return tuple(name.removeprefix(WORKFLOW) for name in stored if _is_workflow_scope(name))

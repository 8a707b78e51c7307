"""Roles in the service layer: every use case that somebody asks for, by every role and by nobody. One without a row fails."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import controlplane.service
from controlplane.errors import ForbiddenError, NotFoundError
from controlplane.pages.handling import NOBODY
from controlplane.service.principal import Principal, Role, user_principal
from controlplane.service.runs import WantedRun
from controlplane.store import actionruns
from controlplane.store.actionruns import ActionRun
from tests.integration.controlplane.plane import Plane

VIEWER = {
    "alerts": ("history", "list_ongoing", "ongoing_of", "show"),
    "apps": ("list_all",),
    "audit": ("newest", "verify"),
    "channels": ("list_all", "notification"),
    "collections": ("managed",),
    "firstvisit": ("look",),
    "keys": ("list_all",),
    "locations": ("get", "list_all", "list_names"),
    "overview": ("get", "page"),
    "plans": ("export",),
    "publicresults": ("find", "get", "page", "poll"),
    "results": ("choose", "newest", "since"),
    "runners": ("list_all", "show"),
    "silences": ("list_all", "list_routes"),
    "testdocuments": ("get", "has_version", "look", "page", "search"),
    "tests": ("list_page",),
    "triggers": ("cap", "follow"),
    "uptimes": ("read",),
    "variableplans": ("export",),
    "variables": ("get", "list_all"),
    "workflows": ("list_all", "show"),
}
EDITOR = {
    "alerts": ("acknowledge",),
    "apps": ("delete", "push"),
    "channels": ("attempt", "create", "delete"),
    "keys": ("create", "revoke"),
    "locations": ("check_delete", "create", "delete", "rotate", "set_enabled", "update"),
    "plans": ("apply", "plan", "prune"),
    "runners": ("accept", "create", "rotate", "set_state", "token"),
    "signingkeys": ("renew", "replace"),
    "silences": ("add", "put_route", "remove", "remove_route"),
    "testdocuments": ("create", "delete", "patch", "replace"),
    "tests": ("assign", "check_push", "delete", "push", "set_paused", "unassign"),
    "triggers": ("set_cap", "trigger", "trigger_one"),
    "variableplans": ("apply", "plan", "prune"),
    "variables": ("create", "delete", "update"),
    "workflows": ("delete", "push", "set_paused"),
}
ADMIN = {
    "links": ("create",),
    "runs": ("list_newest",),
    "sessions": ("end_all_of", "list_of"),
    "workflowruns": ("create",),
    "users": ("create", "delete", "list_all", "read", "set_enabled", "set_password", "set_role"),
}
OF_ACTIONS = ("runs.arguments", "runs.cancel", "runs.create", "runs.resolve", "runs.retry", "runs.show")
"""The action decides that is ordered, or was: asked of a stored run below. An administrator may order all."""
OF_APPS = ("apps.list_usable", "apps.mint", "apps.show")
"""An app says itself whom it lets in, by name or by group: tests/integration/controlplane/test_apps.py."""
RANKS: dict[Role | None, int] = {None: 0, Role.VIEWER: 1, Role.EDITOR: 2, Role.ADMIN: 3}
LEAST = {
    f"{module}.{name}": rank
    for rank, rows in ((1, VIEWER), (2, EDITOR), (3, ADMIN))
    for module, names in rows.items()
    for name in names
}
UseCase = Callable[..., Awaitable[object]]


def use_cases() -> Iterator[tuple[str, UseCase]]:
    """What somebody can ask for: public functions of the service layer that take a database and who asks."""
    for found in pkgutil.iter_modules(controlplane.service.__path__):
        module = importlib.import_module(f"controlplane.service.{found.name}")
        for name, value in vars(module).items():
            if not inspect.iscoroutinefunction(value) or value.__module__ != module.__name__ or name.startswith("_"):
                continue
            if {"by", "database"} <= set(inspect.signature(value).parameters):
                yield f"{found.name}.{name}", value


USE_CASES = dict(use_cases())


class ReachedError(Exception):
    """The use case has begun to look into the database."""


class ClosedDatabase:
    def read(self) -> Any:
        raise ReachedError

    write = read


class AnyValue:
    """An argument that nobody should look at before asking who it is from. It is a little of everything."""

    def __getattr__(self, name: str) -> AnyValue:
        return self

    def __call__(self, *_: object, **__: object) -> AnyValue:
        return self

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def __len__(self) -> int:
        return 0


def principal(role: Role | None) -> Principal:
    return NOBODY if role is None else user_principal("somebody", role)


async def is_let_in(use_case: UseCase, role: Role | None) -> bool:
    arguments: dict[str, Any] = {name: AnyValue() for name in inspect.signature(use_case).parameters}
    known = {"database": ClosedDatabase(), "by": principal(role)}
    samples = {"text": "text", "name": "name", "number": 1, "size": 1}
    try:
        await use_case(**(arguments | {name: samples[name] for name in arguments if name in samples} | known))
    except ForbiddenError:
        return False
    except Exception:  # noqa: BLE001 - it went on with arguments that make no sense
        return True
    return True


def test_every_use_case_has_a_row() -> None:
    assert set(USE_CASES) == set(LEAST) | set(OF_ACTIONS) | set(OF_APPS)


@pytest.mark.parametrize("name", sorted(LEAST))
async def test_a_use_case_lets_in_its_roles_alone(name: str) -> None:
    let_in = [rank for role, rank in RANKS.items() if await is_let_in(USE_CASES[name], role)]
    assert let_in == [rank for rank in RANKS.values() if rank >= LEAST[name]]


async def test_a_run_is_shown_and_moved_by_who_may_order_its_action(plane: Plane) -> None:
    run = ActionRun(
        id="run-1",
        runner="runner-1",
        action="http.request",
        connection=None,
        client="api",
        by_kind="user",
        by_id="somebody",
        task="task-1",
        created_at=plane.now(),
    )
    async with plane.database.write() as connection:
        await actionruns.add(connection, run)
    wanted = WantedRun(action=run.action, runner=run.runner, arguments={})
    for name in OF_ACTIONS:
        for role in RANKS:
            given: dict[str, Any] = {"run": run.id, "wanted": wanted, "client": "api", "succeeded": True}
            given |= {"database": plane.database, "clock": plane.clock, "by": principal(role)}
            asked = inspect.signature(USE_CASES[name]).parameters
            try:
                await USE_CASES[name](**{key: value for key, value in given.items() if key in asked})
                let_in = True
            except ForbiddenError:
                let_in = False
            except NotFoundError as error:
                let_in = error.kind != "run"
            except Exception:  # noqa: BLE001 - the run has no task to go on with
                let_in = True
            assert let_in is (role is Role.ADMIN), (name, role)

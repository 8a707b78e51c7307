"""Operations on runners of private actions. The token of a new one is in its answer, and nowhere else."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from controlplane.operations.operation import LARGEST, Operation
from controlplane.service import runners, signingkeys
from controlplane.service.principal import KeyScope, Principal
from controlplane.service.runners import IssuedToken, RunnerHealth, WantedRunner
from controlplane.store.database import Database
from worker.clock import Clock
from worker.secret import Secret
from worker.wire.enrolment import Modes

TokenLife = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
"""Milliseconds for which a token holds."""


class CreateRunner(msgspec.Struct, frozen=True, kw_only=True):
    """*base_url* is where the runner finds the control plane, *host* where apps reach one with push among its modes."""

    name: str
    base_url: str
    ttl_ms: TokenLife
    modes: Modes = ("pull",)
    host: str | None = None
    instances: int = 1


class IssueToken(msgspec.Struct, frozen=True, kw_only=True):
    """*runner* is a name or an id, as in all that follow."""

    runner: str
    ttl_ms: TokenLife
    uses: int = 1


class ListRunners(msgspec.Struct, frozen=True):
    """A question without members: there are few."""


class RunnerCalled(msgspec.Struct, frozen=True):
    runner: str


class SwitchRunner(msgspec.Struct, frozen=True):
    runner: str
    state: Literal["enrolled", "disabled", "revoked"]


class AcceptInstance(msgspec.Struct, frozen=True):
    runner: str
    instance: str


class ChangeKeys(msgspec.Struct, frozen=True):
    """A question without members: the keys are the control plane's own."""


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A *runner* by its name and the text that enrols it, *uses* times within *ttl_ms*."""

    runner: str
    base_url: str
    token: Secret[str]
    expires_at: int
    ttl_ms: int
    uses: int


async def _create(database: Database, clock: Clock, by: Principal, sent: CreateRunner) -> NewToken:
    wanted = WantedRunner(
        name=sent.name, modes=sent.modes, host=sent.host, base_url=sent.base_url, instances=sent.instances
    )
    return _new(await runners.create(database, clock, by, wanted, ttl_ms=sent.ttl_ms), sent.ttl_ms)


async def _token(database: Database, clock: Clock, by: Principal, sent: IssueToken) -> NewToken:
    issued = await runners.token(database, clock, by, sent.runner, ttl_ms=sent.ttl_ms, uses=sent.uses)
    return _new(issued, sent.ttl_ms)


def _new(issued: IssuedToken, ttl_ms: int) -> NewToken:
    return NewToken(
        runner=issued.runner.name,
        base_url=issued.runner.base_url,
        token=issued.text,
        expires_at=issued.expires_at,
        ttl_ms=ttl_ms,
        uses=issued.uses,
    )


async def _list(database: Database, clock: Clock, by: Principal, _sent: ListRunners) -> tuple[RunnerHealth, ...]:
    return await runners.list_all(database, clock, by)


async def _show(database: Database, clock: Clock, by: Principal, sent: RunnerCalled) -> RunnerHealth:
    return await runners.show(database, clock, by, sent.runner)


async def _switch(database: Database, clock: Clock, by: Principal, sent: SwitchRunner) -> str:
    return (await runners.set_state(database, clock, by, sent.runner, sent.state)).name


async def _rotate(database: Database, clock: Clock, by: Principal, sent: RunnerCalled) -> str:
    return (await runners.rotate(database, clock, by, sent.runner)).name


async def _accept(database: Database, clock: Clock, by: Principal, sent: AcceptInstance) -> str:
    return (await runners.accept(database, clock, by, sent.runner, sent.instance)).name


async def _renew(database: Database, clock: Clock, by: Principal, _sent: ChangeKeys) -> int:
    return await signingkeys.renew(database, clock, by)


async def _replace(database: Database, clock: Clock, by: Principal, _sent: ChangeKeys) -> int:
    return await signingkeys.replace(database, clock, by)


_READ, _WRITE = (KeyScope.READ,), (KeyScope.WRITE,)
CREATE: Operation[CreateRunner, NewToken] = Operation(
    name="runners/create",
    about="Make a runner of private actions. The token by which it enrols is in this reply alone.",
    sent=CreateRunner,
    reply=NewToken,
    run=_create,
    scopes=_WRITE,
)
TOKEN: Operation[IssueToken, NewToken] = Operation(
    name="runners/token",
    about="Make another token for a runner: who enrols with it takes the runner's place. Older ones end.",
    sent=IssueToken,
    reply=NewToken,
    run=_token,
    scopes=_WRITE,
)
LIST: Operation[ListRunners, tuple[RunnerHealth, ...]] = Operation(
    name="runners/list",
    about="List runners with their instances.",
    sent=ListRunners,
    reply=tuple[RunnerHealth, ...],
    run=_list,
    scopes=_READ,
)
SHOW: Operation[RunnerCalled, RunnerHealth] = Operation(
    name="runners/show",
    about="Show a runner: its instances, and what it told of its connections.",
    sent=RunnerCalled,
    reply=RunnerHealth,
    run=_show,
    scopes=_READ,
)
SWITCH: Operation[SwitchRunner, str] = Operation(
    name="runners/switch",
    about="Enable (`enrolled`), disable or revoke a runner; its name.",
    sent=SwitchRunner,
    reply=str,
    run=_switch,
    scopes=_WRITE,
)
ROTATE: Operation[RunnerCalled, str] = Operation(
    name="runners/rotate",
    about="Ask a runner for new keys with its next pull; its name.",
    sent=RunnerCalled,
    reply=str,
    run=_rotate,
    scopes=_WRITE,
)
ACCEPT: Operation[AcceptInstance, str] = Operation(
    name="runners/accept",
    about="Settle a contested runner: say which of its instances is true; its name.",
    sent=AcceptInstance,
    reply=str,
    run=_accept,
    scopes=_WRITE,
)
RENEW_KEYS: Operation[ChangeKeys, int] = Operation(
    name="runners/renew-keys",
    about="Make the next key by which the control plane signs towards runners; the number of its keyset.",
    sent=ChangeKeys,
    reply=int,
    run=_renew,
    scopes=_WRITE,
)
REPLACE_KEYS: Operation[ChangeKeys, int] = Operation(
    name="runners/replace-keys",
    about="Put a new key in the place of a stolen one, at once; the number of its keyset.",
    sent=ChangeKeys,
    reply=int,
    run=_replace,
    scopes=_WRITE,
)
OPERATIONS = (CREATE, TOKEN, LIST, SHOW, SWITCH, ROTATE, ACCEPT, RENEW_KEYS, REPLACE_KEYS)

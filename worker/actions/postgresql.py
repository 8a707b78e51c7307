"""`postgresql.select`, `.namedQuery` and `.testConnection`: one statement in one session of its own.

A `select` runs in a read-only transaction, a named query in what the operator wrote for it; its SQL lies in the connection and
comes from nowhere else. What functions may do is for the role to limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from worker.actions.action import Action, ActionFailure, ActionOutcome, Effect, Input, Order, succeeded
from worker.actions.connection import ActionConnection
from worker.actions.tools import ActionRoute, Tools
from worker.net.deadline import Deadline
from worker.net.failure import DoorError
from worker.net.recorder import Recorder
from worker.schemas.schema import closed, violation

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from worker.actions.pgsession import RowSet, ServerLogin

SECONDS: Final = 30.0
"""The longest time of a statement whose entry says nothing else."""
MAX_SQL: Final = 64 * 1024
"""Characters of a statement."""
CODES: Final = ("SYNTAX", "READ_ONLY", "TIMEOUT", "CONNECT", "AUTH", "TLS", "DNS", "DENIED", "QUERY")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedQuery:
    """One statement of the operator. `$1` is the first of *parameters*, which are the properties of *schema* in their order."""

    sql: str
    schema: Mapping[str, Any]
    parameters: tuple[str, ...]
    effect: Effect = Effect.READ
    timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresConnection(ActionConnection):
    """*host*, *user* and *password* are templates. *sslmode* is libpq's, *ca_file* holds the authorities that are believed."""

    host: str
    port: int = 5432
    database: str
    user: str
    password: str | None
    sslmode: str = "verify-full"
    ca_file: str = ""
    search_path: str | None = None
    queries: Mapping[str, NamedQuery] = field(default_factory=dict)


def query_of(given: Input, connection: ActionConnection | None) -> NamedQuery | None:
    return connection.queries.get(given.get("query", "")) if isinstance(connection, PostgresConnection) else None


def effect(given: Input, connection: ActionConnection | None) -> Effect:
    query = query_of(given, connection)
    return Effect.ONCE if query is None else query.effect


def own_limit(given: Input, connection: ActionConnection | None) -> float:
    query = query_of(given, connection)
    return SECONDS if query is None or query.timeout is None else query.timeout


async def select(order: Order, connection: ActionConnection | None, tools: Tools) -> ActionOutcome:
    """Carry out `postgresql.select`. Raises ActionFailure."""
    return await _answered(order, connection, tools, order.input["sql"], order.input.get("params", ()), Effect.READ)


async def named_query(order: Order, connection: ActionConnection | None, tools: Tools) -> ActionOutcome:
    """Carry out `postgresql.namedQuery`. Raises ActionFailure."""
    name, given = order.input["query"], order.input.get("params", {})
    query = query_of(order.input, connection)
    if query is None:
        raise ActionFailure(
            "NO_QUERY", f"{name[:80]!r} is not a valid name of a query in the connection {order.connection}"
        )
    broken = violation(query.schema, given)
    if broken is not None:
        raise ActionFailure("PARAMETERS", f"the params of {name} are not valid at {broken}")
    values = [given.get(parameter) for parameter in query.parameters]
    return await _answered(order, connection, tools, query.sql, values, query.effect)


async def check_connection(order: Order, connection: ActionConnection | None, tools: Tools) -> ActionOutcome:
    """Carry out `postgresql.testConnection`. Raises ActionFailure."""
    sql = (
        "SELECT current_user::text, current_database()::text, current_setting('server_version'),"
        " coalesce((SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()), 'none')"
    )
    outcome = await _answered(order, connection, tools, sql, (), Effect.READ)
    assert outcome.outputs is not None
    return succeeded(
        dict(zip(("user", "database", "server_version", "tls"), outcome.outputs["rows"][0], strict=True)),
        target=outcome.target,
    )


async def _answered(
    order: Order,
    connection: ActionConnection | None,
    tools: Tools,
    sql: str,
    parameters: Sequence[Any],
    effect_of_it: Effect,
) -> ActionOutcome:
    assert isinstance(connection, PostgresConnection)
    place = f"{connection.render(connection.host).reveal()}:{connection.port}"
    statement = _Statement(sql=sql, parameters=parameters, effect=effect_of_it)
    try:
        async with asyncio.timeout(order.timeout):
            found = await _rows(order, connection, tools, statement)
    except TimeoutError:
        raise ActionFailure(
            "TIMEOUT", f"no answer within {order.timeout:g} s", target=place, doubtful=statement.is_committing
        ) from None
    except ActionFailure as failure:
        failure.target = place
        raise
    outputs = {"columns": [*found.columns], "rows": found.rows, "truncated": found.truncated}
    return succeeded(outputs, target=place)


@dataclass(slots=True, kw_only=True)
class _Statement:
    """*is_committing*: its COMMIT has been sent, and until the answer comes nobody can tell what became of it."""

    sql: str
    parameters: Sequence[Any]
    effect: Effect
    is_committing: bool = False

    def commit(self) -> None:
        self.is_committing = True


async def _rows(order: Order, connection: PostgresConnection, tools: Tools, statement: _Statement) -> RowSet:
    from worker.actions import pgsession  # noqa: PLC0415 - libpq takes 10 MiB, which only these actions need

    async with pgsession.session(await _connected(await _logins(order, connection, tools))) as session:
        if statement.effect is Effect.READ:
            return await pgsession.read(session, statement.sql, statement.parameters)
        return await pgsession.change(session, statement.sql, statement.parameters, committing=statement.commit)


async def _connected(logins: Sequence[ServerLogin]) -> AsyncConnection[Any]:
    """A connection to the first address that answers. Nothing is asked of a second one once there is one."""
    from worker.actions import pgsession  # noqa: PLC0415 - as above

    for login in logins:
        try:
            return await pgsession.connect(login)
        except ActionFailure as failure:
            if failure.detail != "CONNECT" or login is logins[-1]:
                raise
    raise ActionFailure("CONNECT", "the host has no address that may be dialled")


async def _logins(order: Order, connection: PostgresConnection, tools: Tools) -> list[ServerLogin]:
    """The login at each address of the host that the policy allows."""
    from worker.actions.pgsession import ServerLogin  # noqa: PLC0415 - as above

    host = connection.render(connection.host).reveal()
    door = await tools.doors.to(ActionRoute(named=True))
    try:
        found = await door.addresses(host, Recorder(tools.clock, Deadline(tools.clock, order.timeout)))
    except DoorError as error:
        detail = error.failure.code.value if error.failure.code.value in ("DNS", "DENIED") else "CONNECT"
        raise ActionFailure(detail, error.failure.message, retryable=detail == "DNS") from None
    return [
        ServerLogin(
            address=str(address),
            host=host,
            port=connection.port,
            database=connection.database,
            user=connection.render(connection.user).reveal(),
            password=None if connection.password is None else connection.render(connection.password),
            sslmode=connection.sslmode,
            ca_file=connection.ca_file,
            application=f"private-action {order.task}"[:63],
            search_path=connection.search_path,
            timeout=order.timeout,
        )
        for address in found
    ]


def _reads(_given: Input, _connection: ActionConnection | None) -> Effect:
    return Effect.READ


_VALUE: Final = {"type": ["string", "number", "boolean", "null", "array", "object"]}
_ROWS: Final = closed(
    {
        "columns": {"type": "array", "items": {"type": "string"}},
        "rows": {"type": "array", "items": {"type": "array"}},
        "truncated": {"type": "boolean", "description": "there were more than 1,000 rows or 1 MiB"},
    },
    "columns",
    "rows",
    "truncated",
)
_TEXT: Final = {"type": "string"}

ACTIONS: Final = (
    Action(
        name="postgresql.select",
        summary="Read by one statement, in a transaction that cannot write.",
        effects="read",
        effect=_reads,
        input_schema=closed(
            {
                "sql": {"type": "string", "minLength": 1, "maxLength": MAX_SQL},
                "params": {"type": "array", "maxItems": 1000, "items": _VALUE, "description": "$1, $2 and so on"},
            },
            "sql",
        ),
        output_schema=_ROWS,
        codes=CODES,
        act=select,
        connection=PostgresConnection,
        needs_connection=True,
        own_limit=own_limit,
    ),
    Action(
        name="postgresql.namedQuery",
        summary="Run a statement that lies in the connection.",
        effects="its entry's, else read",
        effect=effect,
        input_schema=closed(
            {"query": {"type": "string", "minLength": 1, "maxLength": 200}, "params": {"type": "object"}}, "query"
        ),
        output_schema=_ROWS,
        codes=(*CODES, "NO_QUERY", "PARAMETERS", "TOO_MANY_ROWS"),
        act=named_query,
        connection=PostgresConnection,
        needs_connection=True,
        own_limit=own_limit,
    ),
    Action(
        name="postgresql.testConnection",
        summary="Log in, and say who one is there.",
        effects="read",
        effect=_reads,
        input_schema=closed({}),
        output_schema=closed(
            {"user": _TEXT, "database": _TEXT, "server_version": _TEXT, "tls": _TEXT}, "user", "database"
        ),
        codes=CODES,
        act=check_connection,
        connection=PostgresConnection,
        needs_connection=True,
        own_limit=own_limit,
    ),
)

"""One session with a PostgreSQL server: connected to a judged address, used for one statement, closed. psycopg stays in here.

libpq is told everything: the address to dial apart from the name that the certificate must bear, the authorities, and every
setting for which it would look into the environment or a home. Nothing is pooled, as the settings of a session outlive its
statements.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.adapt import Loader
from psycopg.postgres import types

from worker.actions.action import ActionFailure
from worker.secret import Secret
from worker.text import cut

MAX_ROWS: Final = 1000
MAX_BYTES: Final = 1 << 20
"""Of all rows as JSON."""
PORTION: Final = 50
"""Rows that libpq holds at a time."""
_AS_TEXT: Final = (
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "numeric",
    "oid",
    "inet",
    "cidr",
    "uuid",
)
"""Types that come in the server's own words: Python's have fewer values (infinity, year 10000) or no place in JSON."""
_NOWHERE: Final = "/nonexistent/private-action-runner"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLogin:
    """The login at one server. *address* is dialled, *host* stands in the certificate. *timeout* in seconds."""

    address: str
    host: str
    port: int
    database: str
    user: str
    password: Secret[str] | None
    sslmode: str
    ca_file: str
    application: str
    search_path: str | None
    timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSet:
    """*rows* as JSON can hold them. *truncated*: there were more, or they had more bytes."""

    columns: tuple[str, ...]
    rows: list[list[Any]]
    truncated: bool


class _Text(Loader):
    """The server's text, as it is."""

    def load(self, data: Any) -> str:
        return bytes(data).decode(errors="replace")


async def connect(login: ServerLogin) -> AsyncConnection[Any]:
    """A connection in autocommit. Raises ActionFailure (CONNECT, AUTH, TLS): nothing was asked of anybody then."""
    try:
        connection = await AsyncConnection.connect(**_parameters(login), autocommit=True, cursor_factory=AsyncRawCursor)
    except psycopg.Error as error:
        raise _not_connected(error) from None
    for name in _AS_TEXT:
        connection.adapters.register_loader(types[name].oid, _Text)
    return connection


@asynccontextmanager
async def session(connection: AsyncConnection[Any]) -> AsyncIterator[AsyncConnection[Any]]:
    """Close *connection* at the end. Raises ActionFailure for what becomes of its statements."""
    try:
        yield connection
    except psycopg.Error as error:
        raise failure_of(error) from None
    finally:
        await connection.close()


async def read(connection: AsyncConnection[Any], sql: str, parameters: Sequence[Any]) -> RowSet:
    """The rows of one statement that can change nothing: the transaction is read-only, and has its snapshot before *sql* comes.

    Raises psycopg.Error.
    """
    await connection.execute("BEGIN READ ONLY")
    await connection.execute("SELECT 1")  # after a snapshot no SET makes a transaction writable
    found = await _rows(connection, sql, parameters)
    if not found.truncated:
        await connection.execute("ROLLBACK")
    return found


async def change(
    connection: AsyncConnection[Any], sql: str, parameters: Sequence[Any], *, committing: Callable[[], None]
) -> RowSet:
    """The rows of one statement of the operator, committed; from the call of *committing* on nobody can tell if it was.

    Raises psycopg.Error, and ActionFailure for a doubtful end.
    """
    await connection.execute("BEGIN")
    found = await _rows(connection, sql, parameters)
    if found.truncated:
        raise ActionFailure(
            "TOO_MANY_ROWS", f"the statement returns more than {MAX_ROWS} rows or {MAX_BYTES} bytes: not committed"
        )
    committing()
    try:
        await connection.execute("COMMIT")
    except psycopg.Error as error:
        if connection.info.status is psycopg.pq.ConnStatus.OK:
            raise
        message = f"the connection was lost while the change was committed: {cut(str(error), 200)}"
        raise ActionFailure("CONNECT", message, doubtful=True) from None
    return found


async def _rows(connection: AsyncConnection[Any], sql: str, parameters: Sequence[Any]) -> RowSet:
    """One statement, by the extended protocol, which takes no second one; its rows come in portions."""
    rows: list[list[Any]] = []
    size, truncated = 0, False
    async with (
        connection.cursor() as cursor,
        aclosing(
            cast(
                "AsyncGenerator[Any, None]", cursor.stream(sql, [_written(value) for value in parameters], size=PORTION)
            )
        ) as stream,
    ):
        try:
            async for row in stream:
                plain = [_plain(value) for value in row]
                size += len(orjson.dumps(plain))
                if len(rows) == MAX_ROWS or size > MAX_BYTES:
                    truncated = True  # closing the stream cancels the query at the server
                    break
                rows.append(plain)
        except psycopg.ProgrammingError as error:
            if error.sqlstate is not None or "didn't produce" not in str(error):
                raise  # a statement without rows is none of psycopg's streams
        return RowSet(columns=_columns(cursor), rows=rows, truncated=truncated)


def _columns(cursor: psycopg.AsyncCursor[Any]) -> tuple[str, ...]:
    return tuple(column.name for column in cursor.description or ())


def _written(value: Any) -> str | None:
    """A parameter as text of no type: the server knows what it needs there."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if value - value == 0 else str(value)  # JSON has no NaN and no infinity
        case list() | tuple():
            return [_plain(member) for member in value]
        case dict():
            return {str(name): _plain(member) for name, member in value.items()}
        case bytes() | bytearray() | memoryview():
            return b64encode(value).decode()
        case _:
            return str(value)


def failure_of(error: psycopg.Error) -> ActionFailure:
    """The failure of a statement. The server's sentence is repeated, its details are not: they hold rows."""
    state = error.sqlstate or ""
    message = cut(error.diag.message_primary or str(error).partition("\n")[0], 500)
    if state == "57014":
        return ActionFailure("TIMEOUT", message, retryable=True)
    if state == "25006":
        return ActionFailure("READ_ONLY", message)
    if state.startswith("28") or state == "42501":
        return ActionFailure("AUTH", message)
    if state.startswith(("22", "42")):
        return ActionFailure("SYNTAX", message)
    if state.startswith(("08", "57P", "53")) or isinstance(error, psycopg.OperationalError):
        return ActionFailure("CONNECT", message, retryable=True)
    return ActionFailure("QUERY", f"{state}: {message}" if state else message)


def _not_connected(error: psycopg.Error) -> ActionFailure:
    message = cut(" ".join(str(error).split()), 500)
    if (error.sqlstate or "").startswith("28") or "authentication" in message or "no pg_hba.conf entry" in message:
        return ActionFailure("AUTH", message)
    if "certificate" in message or "SSL" in message:
        return ActionFailure("TLS", message)
    return ActionFailure("CONNECT", message, retryable=True)


def _parameters(login: ServerLogin) -> dict[str, Any]:
    milliseconds = max(1, round(login.timeout * 1000))
    options = [
        f"-c statement_timeout={milliseconds}",
        f"-c lock_timeout={milliseconds}",
        f"-c idle_in_transaction_session_timeout={milliseconds}",
        "-c DateStyle=ISO",
        "-c IntervalStyle=iso_8601",
    ]
    if login.search_path is not None:
        escaped = login.search_path.replace("\\", "\\\\").replace(" ", "\\ ")
        options.append(f"-c search_path={escaped}")
    verified = login.sslmode.startswith("verify")
    return {
        "hostaddr": login.address,
        "host": login.host,
        "port": login.port,
        "dbname": login.database,
        "user": login.user,
        "password": None if login.password is None else login.password.reveal(),
        "passfile": _NOWHERE,
        "sslmode": login.sslmode,
        "sslrootcert": login.ca_file if verified else _NOWHERE,
        "sslcert": _NOWHERE,
        "sslkey": _NOWHERE,
        "gssencmode": "disable",
        "require_auth": "!gss,!sspi" if verified else "!gss,!sspi,!password",
        "channel_binding": "prefer",
        "target_session_attrs": "any",
        "load_balance_hosts": "disable",
        "client_encoding": "UTF8",
        "application_name": login.application,
        "connect_timeout": max(2, round(login.timeout)),
        "options": " ".join(options),
    }

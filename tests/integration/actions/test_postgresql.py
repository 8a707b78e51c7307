"""`postgresql.*` against a real server with TLS: what is verified, what cannot be written, and what is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.actions import RunnerOfOrders, allow_all, end_of_a_cancellation, token_file
from tests.support.certificates import issue
from tests.support.servers.dns import DNSServer, zone
from tests.support.servers.postgresql import PASSWORD, PostgresServer, running_postgresql
from tests.support.waiting import until
from worker.actions.action import ActionOutcome, ActionStatus, Effect


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgresql() as made:
        with _admin(made) as connection:
            connection.execute("CREATE TABLE customer (id int PRIMARY KEY, name text)")
            connection.execute("INSERT INTO customer VALUES (7, 'Ada'), (8, NULL)")
            connection.execute("CREATE TABLE log (line text)")
            connection.execute("CREATE TABLE slow (line text)")
            sleep = "BEGIN PERFORM pg_sleep(1000); RETURN NULL; END"
            connection.execute(f"CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS '{sleep}'")
            connection.execute(
                "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION linger()"
            )
        yield made


def _admin(made: PostgresServer) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host="127.0.0.1", port=made.port, user="reader", password=PASSWORD, dbname="postgres", autocommit=True
    )


def runner(tmp_path: Path, server: PostgresServer, *, dns: tuple[str, ...] = (), **members: Any) -> RunnerOfOrders:
    entry = {
        "type": "postgresql",
        "host": "127.0.0.1",
        "port": server.port,
        "database": "postgres",
        "user": "reader",
        "credentials": {"file": token_file(tmp_path / "db.json", password=PASSWORD)},
        "tls": {"ca_file": str(server.ca_file)},
        "queries": {
            "by_id": {
                "sql": "select id, name from customer where id = $1",
                "params": {"properties": {"id": {"type": "integer"}}, "required": ["id"]},
            },
            "note": {"sql": "insert into log values ($1)", "params": {"properties": {"line": {}}}, "effect": "once"},
            "slow": {"sql": "insert into slow values ('x')", "effect": "once"},
            "sleep": {"sql": "select pg_sleep(1000)", "timeout": 3600},
        },
        **members,
    }
    return RunnerOfOrders(tmp_path, connections={"db": entry}, rules=allow_all("postgresql.*"), dns=dns)


async def select(made: RunnerOfOrders, sql: str, *params: Any, **facts: Any) -> ActionOutcome:
    return await made.run("postgresql.select", {"sql": sql, "params": [*params]}, connection="db", **facts)


def detail(outcome: ActionOutcome) -> str:
    assert outcome.error is not None, outcome
    return outcome.error.detail


def rows(outcome: ActionOutcome) -> Any:
    assert outcome.status is ActionStatus.SUCCEEDED, outcome
    return outcome.outputs["rows"]  # type: ignore[index]


async def test_rows_come_with_their_columns_and_types(tmp_path: Path, server: PostgresServer) -> None:
    made = runner(tmp_path, server)
    outcome = await select(
        made,
        "select 1 as a, 'x' as b, null as c, true as d, 1.5::float8 as e, 1.50::numeric as f, '{\"k\": [1]}'::jsonb as g,"
        " 'infinity'::timestamp as h, array[1,2] as i, '\\x00ff'::bytea as j, 'nan'::float8 as k, date '2026-01-02' as l",
    )
    assert outcome.outputs == {
        "columns": [*"abcdefghijkl"],
        "rows": [[1, "x", None, True, 1.5, "1.50", {"k": [1]}, "infinity", [1, 2], "AP8=", "nan", "2026-01-02"]],
        "truncated": False,
    }
    assert made.effects == [Effect.READ]
    assert outcome.target == f"127.0.0.1:{server.port}"


async def test_parameters_take_the_type_that_the_server_needs(tmp_path: Path, server: PostgresServer) -> None:
    made = runner(tmp_path, server)
    assert rows(await select(made, "select name from customer where id = $1", 7)) == [["Ada"]]
    assert rows(await select(made, "select name from customer where name = $1", "'; drop table customer; --")) == []
    assert rows(await select(made, "select $1::jsonb -> 'a', $2::bool, $3::text", {"a": 1}, True, None)) == [
        [1, True, None]
    ]


ESCAPES = [
    ("insert into log values ('x')", "READ_ONLY"),
    ("update customer set name = 'x'", "READ_ONLY"),
    ("delete from log", "READ_ONLY"),
    ("truncate log", "READ_ONLY"),
    ("create table t (a int)", "READ_ONLY"),
    ("create temp table t (a int)", "READ_ONLY"),
    ("with x as (insert into log values ('x') returning 1) select * from x", "READ_ONLY"),
    ("explain analyze insert into log values ('x')", "READ_ONLY"),
    ("select nextval(pg_get_serial_sequence('customer', 'id'))", ""),
    ("set transaction read write", "QUERY"),
    ("set transaction_read_only = off", "QUERY"),
    ("select set_config('transaction_read_only', 'off', true)", "QUERY"),
    ("do $$ begin set transaction read write; insert into log values ('x'); end $$", "QUERY"),
    ("do $$ begin commit; insert into log values ('x'); end $$", "QUERY"),
    ("do $$ begin insert into log values ('x'); end $$", "READ_ONLY"),
    ("select 1; insert into log values ('x')", "SYNTAX"),
    ("commit; insert into log values ('x')", "SYNTAX"),
    ("commit", ""),
    ("rollback", ""),
    ("set default_transaction_read_only = off", ""),
    ("set session characteristics as transaction read write", ""),
    ("select lo_create(0)", ""),
    ("select lo_from_bytea(0, 'x')", ""),
    ("lock table log in exclusive mode", ""),
    ("vacuum", "QUERY"),
    ("prepare transaction 'x'", ""),
    ("copy log from stdin", ""),
]


COUNTS = (
    "select (select count(*) from log), (select count(*) from pg_prepared_xacts),"
    " (select count(*) from pg_largeobject_metadata)"
)


async def test_no_select_changes_anything(tmp_path: Path, server: PostgresServer) -> None:
    """Check 19: each way out of a read-only transaction, and the tables as they were."""
    made = runner(tmp_path, server)
    with _admin(server) as connection:
        for sql, expected in ESCAPES:
            outcome = await select(made, sql)
            assert not expected or detail(outcome) == expected, sql
            assert connection.execute(COUNTS).fetchone() == (0, 0, 0), sql
            assert connection.execute("select id, name from customer order by 1").fetchall() == [
                (7, "Ada"),
                (8, None),
            ], sql


async def test_more_rows_or_bytes_than_fit_are_said_to_be_missing(tmp_path: Path, server: PostgresServer) -> None:
    made = runner(tmp_path, server)
    outcome = await select(made, "with recursive s(n) as (select 1 union all select n + 1 from s) select n from s")
    assert len(rows(outcome)) == 1000
    assert outcome.outputs["truncated"] is True  # type: ignore[index]
    outcome = await select(made, "select repeat('x', 100000) from generate_series(1, 1000)", select=".rows | length")
    assert outcome.outputs == 10


async def test_a_query_that_hangs_is_cancelled_at_the_server(tmp_path: Path, server: PostgresServer) -> None:
    """Checks 13 and 19: by its time, and by a cancellation from outside."""
    made = runner(tmp_path, server)
    outcome = await select(made, "select pg_sleep(1000)", timeout=0.3)
    assert outcome.error is not None
    assert outcome.error.code == "TIMEOUT"
    with _admin(server) as connection:
        sleeping = "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'"

        async def begin() -> asyncio.Task[ActionOutcome]:
            asked = made.run("postgresql.namedQuery", {"query": "sleep"}, connection="db", timeout=600)
            running = asyncio.create_task(asked)
            await until(lambda: connection.execute(sleeping).fetchone() == (1,))
            return running

        await end_of_a_cancellation(begin)
        assert connection.execute(sleeping).fetchone() == (0,)


async def test_a_named_query_takes_only_values(tmp_path: Path, server: PostgresServer) -> None:
    made = runner(tmp_path, server)
    query = {"query": "by_id", "params": {"id": 7}}
    assert rows(await made.run("postgresql.namedQuery", query, connection="db")) == [[7, "Ada"]]
    wrong = {"query": "by_id", "params": {"id": "7 or true"}}
    assert detail(await made.run("postgresql.namedQuery", wrong, connection="db")) == "PARAMETERS"
    assert detail(await made.run("postgresql.namedQuery", {"query": "x"}, connection="db")) == "NO_QUERY"


async def test_a_named_query_may_write_where_its_entry_says_so(tmp_path: Path, server: PostgresServer) -> None:
    made = runner(tmp_path, server)
    outcome = await made.run("postgresql.namedQuery", {"query": "note", "params": {"line": "noted"}}, connection="db")
    assert rows(outcome) == []
    assert made.effects == [Effect.ONCE]
    with _admin(server) as connection:
        assert connection.execute("delete from log returning line").fetchall() == [("noted",)]


async def test_a_commit_that_outlasts_its_time_is_unknown(tmp_path: Path, server: PostgresServer) -> None:
    """What a deferred trigger takes, or a standby that is waited for: the COMMIT was sent, and may yet be done."""
    made = runner(tmp_path, server)
    outcome = await made.run("postgresql.namedQuery", {"query": "slow"}, connection="db", timeout=0.5)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code, outcome.error.may_have_run) == (ActionStatus.UNKNOWN, "TIMEOUT", True)


class CuttingProxy:
    """Passes a connection on until it is told to cut it."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.connections = 0
        self.cut = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        passing = [asyncio.create_task(self._pass_on(reader, back)), asyncio.create_task(self._pass_on(there, writer))]
        await self.cut.wait()
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)
        for side in (writer, back):
            side.transport.abort()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()


async def test_a_statement_whose_connection_is_lost_is_not_repeated_at_the_next_address(
    tmp_path: Path, server: PostgresServer
) -> None:
    proxy = CuttingProxy(server.port)
    first = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = first.sockets[0].getsockname()[1]
    second = await asyncio.start_server(proxy.serve, "127.0.0.2", port)
    async with first, second, DNSServer(zone({"db.test": {"A": ["127.0.0.1", "127.0.0.2"]}})) as dns:
        made = runner(tmp_path, server, dns=(dns.address,), host="db.test", port=port)
        asked = made.run("postgresql.namedQuery", {"query": "sleep"}, connection="db", timeout=60)
        running = asyncio.create_task(asked)
        with _admin(server) as connection:
            sleeping = "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'"
            await until(lambda: connection.execute(sleeping).fetchone() == (1,))
            proxy.cut.set()
            assert detail(await running) == "CONNECT"
    assert proxy.connections == 1


async def test_the_name_in_the_certificate_is_the_hosts_and_the_address_the_judged_one(
    tmp_path: Path, server: PostgresServer
) -> None:
    async with DNSServer(zone({"db.test": {"A": ["127.0.0.1"]}, "other.test": {"A": ["127.0.0.1"]}})) as dns:
        made = runner(tmp_path, server, dns=(dns.address,), host="db.test")
        outcome = await made.run("postgresql.testConnection", connection="db")
        assert outcome.outputs is not None, outcome
        assert outcome.outputs["user"] == "reader"
        assert outcome.outputs["tls"].startswith("TLSv1")
        made = runner(tmp_path, server, dns=(dns.address,), host="other.test")
        assert detail(await select(made, "select 1")) == "TLS"


async def test_a_certificate_of_another_authority_is_refused(tmp_path: Path, server: PostgresServer) -> None:
    other = tmp_path / "other.pem"
    other.write_text(issue("other root", ca=True).pem)
    made = runner(tmp_path, server, tls={"ca_file": str(other)})
    assert detail(await select(made, "select 1")) == "TLS"


async def test_a_wrong_password_and_a_closed_port_are_told_without_the_password(
    tmp_path: Path, server: PostgresServer
) -> None:
    made = runner(tmp_path, server)
    token_file(tmp_path / "db.json", password="another-s3cret")
    wrong = await select(made, "select 1")
    assert detail(wrong) == "AUTH"
    made = runner(tmp_path, server, port=1)
    closed = await select(made, "select 1")
    assert detail(closed) == "CONNECT"
    assert "s3cret" not in f"{wrong}{closed}{made.audit_path.read_text()}"


async def test_a_row_that_holds_the_password_leaves_without_it(tmp_path: Path, server: PostgresServer) -> None:
    made = runner(tmp_path, server)
    outcome = await select(made, "select $1 || ' ' || encode($1::bytea, 'base64')", PASSWORD)
    assert rows(outcome)[0][0].startswith("‹db.password› ‹db.password›")
    assert outcome.redactions == 2


async def test_the_environment_of_the_runner_decides_nothing(
    tmp_path: Path, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGUSER": "other",
        "PGPASSWORD": "other",
        "PGHOSTADDR": "192.0.2.1",
        "PGSSLMODE": "disable",
        "PGOPTIONS": "-c default_transaction_read_only=off -c statement_timeout=1",
        "PGDATABASE": "other",
        "PGSSLROOTCERT": "/nonexistent",
        "PGAPPNAME": "other",
    }.items():
        monkeypatch.setenv(name, value)
    made = runner(tmp_path, server)
    assert rows(await select(made, "select current_user, current_setting('application_name')")) == [
        ["reader", "private-action 5f0c5e0e-0b0e-4b4e-8d0c-0d9a3f1d2c3b"]
    ]

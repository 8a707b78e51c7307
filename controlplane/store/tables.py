"""The tables, as the newest migration leaves them. Times of day are epoch milliseconds UTC, durations milliseconds.

`migrations/` is what really makes them; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
    true,
)

REVISION = "0022"
"""The migration that these tables are the outcome of."""

metadata = MetaData()


def _where(condition: str) -> dict[str, Any]:
    """The words by which each kind of database makes an index of the rows alone that a condition is true of."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


about = Table(
    "about",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""Facts about the database itself: `key_check`, a known text sealed with the database's key; `write_check`, which is written to
see if anything can be."""

locations = Table(
    "locations",
    metadata,
    Column("id", String(120), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("enabled", Boolean, nullable=False),
    Column("intake_url", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False, server_default=text("0")),
    Column("created_by", String(200), nullable=False, server_default=text("''")),
    Column("description", Text, nullable=False, server_default=text("''")),
    Column("tags", Text, nullable=False, server_default=text("'[]'")),
    Column("restricted_roles", Text, nullable=False, server_default=text("'[]'")),
)
"""*tags* and *restricted_roles* are JSON lists. *intake_url* is what its newest config file says; a rotation says it again."""

credentials = Table(
    "credentials",
    metadata,
    Column("access_key", String(64), primary_key=True),
    Column("location_id", String(120), ForeignKey("locations.id", ondelete="CASCADE"), nullable=False),
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("jobs_kid", String(200), nullable=False),
    Column("jobs_public_pem", Text, nullable=False),
    Column("results_kid", String(200), nullable=False),
    Column("results_private_sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Index("credentials_by_location", "location_id"),
)
"""One row is one config file. *expires_at* is set when a rotation replaces it."""

workers = Table(
    "workers",
    metadata,
    Column("location_id", String(120), ForeignKey("locations.id", ondelete="CASCADE"), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("pull_seq", BigInteger, nullable=False),
    Column("push_seq", BigInteger, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("agent", String(200), nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("free_slots", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    Column("draining", Boolean, nullable=False),
    Column("degraded", String(200)),
    Column("host", String(200), nullable=False, server_default=text("''")),
    Column("address", String(64), nullable=False, server_default=text("''")),
    Column("access_key", String(64), nullable=False, server_default=text("''")),
    Index("workers_by_sight", "last_seen"),
)
"""One row is one worker process. *last_seen* is its last pull, and what all of its leases live by. *host* is what it calls its
machine, *address* what its last pull came from, *access_key* the config file that it was signed with."""

tests = Table(
    "tests",
    metadata,
    Column("public_id", String(11), primary_key=True),
    Column("name", Text, nullable=False),
    Column("subtype", String(40), nullable=False),
    Column("version", Integer, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("period_ms", BigInteger, nullable=False),
    Column("definition", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("frames", Text),
    Column("retries", Integer, nullable=False, server_default=text("0")),
    Column("retry_interval_ms", BigInteger, nullable=False, server_default=text("0")),
    Column("created_by", String(200), nullable=False, server_default=text("''")),
    Column("modified_by", String(200), nullable=False, server_default=text("''")),
    Column("tags", Text, nullable=False, server_default=text("''")),
    Column("applied", String(100)),
    Column("alerting", Text),
    Index("tests_by_name", "name"),
    Index("tests_for_search", "name", "public_id", "subtype", "paused", "tags").ddl_if(dialect="sqlite"),
)
"""*frames* are those of the week in which it runs, as `frames.written` puts them; null where it always does. *retries* are
the further executions of a failed run that the control plane gives out, *retry_interval_ms* after the one before. *tags* are
those of the definition, each between line feeds: what a search looks into. *alerting* is the rule of its alerts, as
`alerts.rule` writes it, null where its definition says nothing of it. *applied* is the collection of files that `apply`
made it of, null where it was made otherwise."""

assignments = Table(
    "assignments",
    metadata,
    Column("test_id", String(11), ForeignKey("tests.public_id", ondelete="CASCADE"), primary_key=True),
    Column("location_id", String(120), ForeignKey("locations.id", ondelete="CASCADE"), primary_key=True),
    Column("due_at", BigInteger),
    Column("until", BigInteger),
    Column("waiting_since", BigInteger),
    Column("job_id", String(40)),
    Column("last_status", String(10)),
    Column("last_at", BigInteger),
    Column("last_duration_ms", Float),
    Column("seen_at", BigInteger),
    Index("assignments_by_location", "location_id"),
    Index("assignments_by_turn", "location_id", "waiting_since", **_where("job_id IS NULL")),
    Index("assignments_by_until", "until"),
    Index("assignments_by_job", "job_id", **_where("job_id IS NOT NULL")),
)
"""A test at a location and its next run: due at *due_at*, missed at *until*; both null while nothing is to be run.

*waiting_since* is the test's place in the queue: *due_at*, or that of the first run that was missed since one was given out. So
whoever went without while slots were scarce comes next; by their own times alone, the same ones would miss each of their runs.

*job_id* is the job in flight. While there is one, the next run waits.

*last_status* is that of the newest run that is decided, stored at *last_at*; *last_duration_ms* is that of the newest one that
took place. All three are null until then. They are the ends of `results`, which nobody has to search for them.

*seen_at* is the scheduled time of the newest run that says anything of the target, null until there is one: results come late.
"""

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("test_id", String(11), nullable=False),
    Column("location_id", String(120), ForeignKey("locations.id", ondelete="CASCADE"), nullable=False),
    Column("scheduled_at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("delivery", Integer, nullable=False),
    Column("released", Integer, nullable=False, server_default=text("0")),
    Column("leased_at", BigInteger, nullable=False),
    Column("worker", String(64)),
    Column("closed", String(10)),
    Column("closed_at", BigInteger),
    Column("not_before", BigInteger, nullable=False, server_default=text("0")),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    Column("retry_of", String(40)),
    Column("initial_id", String(200)),
    Column("definition", Text),
    Column("test_name", Text),
    Index("jobs_open", "worker", "location_id", **_where("closed IS NULL")),
    Index("jobs_by_closing", "closed_at", **_where("closed_at IS NOT NULL")),
    Index("jobs_triggered", "test_id", "location_id", "leased_at", **_where("definition IS NOT NULL")),
)
"""One run that was given out at least once. *worker* has it, or nobody (null: given back). *closed* is null while it is
open, then `result`, `missed`, `lost` or `cancelled`. *delivery* counts how often it was given out, *released* how many of these
deliveries came back from a worker that lives: by name, or because they never reached it.

A run that failed may be executed once more, by a job of its own: *attempt* 2 and so on, offered from *not_before*. *retry_of* is
the job before it, *initial_id* the result of the first one; both are null for that.

A triggered job brings the *definition* to run and its *test_name*; both are null for a scheduled one, which runs its test as it
is stored when it is given out."""

results = Table(
    "results",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(200), nullable=False, unique=True),
    Column("job_id", String(40), unique=True),
    Column("lease", String(200)),
    Column("origin", String(10), nullable=False),
    Column("test_id", String(11), nullable=False),
    Column("test_name", Text, nullable=False),
    Column("location_id", String(120), nullable=False),
    Column("worker", String(64)),
    Column("status", String(10), nullable=False),
    Column("runs", Integer, nullable=False),
    Column("scheduled_at", BigInteger),
    Column("stored_at", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    Column("initial_id", String(200)),
    Column("is_last", Boolean, nullable=False, server_default=true()),
    Index("results_by_test", "test_id", "stored_at", "seq", "location_id", "status"),
    Index("results_by_age", "stored_at"),
    sqlite_autoincrement=True,
)
"""The results of scheduled runs. *origin* is `worker`, or `missed` or `lost` where the control plane itself wrote it down;
*runs* is 1, or how many runs in a row were missed while the control plane itself was down. *seq* only grows.

Of a run that was executed several times, *attempt* counts the results from 1, *initial_id* is the first one (null for itself),
and *is_last* is the one that decides; it is false while the next one is awaited."""

keys = Table(
    "keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("api_key_hash", LargeBinary, nullable=False, unique=True),
    Column("app_key_hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("sealed", LargeBinary),
)
"""A pair of keys of the public API. The keys themselves are random and stand nowhere: SHA-256 of each is compared. *sealed* are
both hashes, name and scopes once more, under the database's key: they are what counts."""

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("via", String(10), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("prev", String(64)),
    Index("audit_by_age", "at"),
    sqlite_autoincrement=True,
)
"""One row is one change: who, through what, did what to what. *before* and *after* are JSON without secrets, null where there is
nothing. *prev* is the digest of the row before, null in rows of before there was a chain."""

variables = Table(
    "variables",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("secure", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Column("value_sealed", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("modified_by", String(200), nullable=False),
    Column("applied", String(100)),
)
"""Global variables. *document* is all that was said of one but its value, which is sealed, secure or not."""

batches = Table(
    "batches",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("details", Text, nullable=False),
    Index("batches_by_age", "created_at"),
)
"""Runs that a pipeline asked for together. *details* is its own JSON about itself, null without any."""

triggered = Table(
    "triggered",
    metadata,
    Column("result_id", BigInteger, primary_key=True, autoincrement=False),
    Column("job_id", String(40), unique=True),
    Column("batch_id", String(40), ForeignKey("batches.id", ondelete="CASCADE")),
    Column("position", Integer, nullable=False),
    Column("test_id", String(11), nullable=False),
    Column("test_name", Text, nullable=False),
    Column("subtype", String(40), nullable=False),
    Column("location_id", String(120), nullable=False),
    Column("execution_rule", String(20), nullable=False),
    Column("definition", Text, nullable=False),
    Column("triggered_at", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Index("triggered_by_batch", "batch_id", "position"),
    Index("triggered_by_age", "triggered_at"),
)
"""A run that somebody asked for: its result's id is given out before there is a result. *job_id* is null where the execution rule
says that nothing is run. *batch_id* is null outside of a batch."""

action_runs = Table(
    "action_runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("runner_id", String(40), nullable=False),
    Column("action", String(200), nullable=False),
    Column("connection", String(200)),
    Column("client", String(10), nullable=False),
    Column("by_kind", String(20), nullable=False),
    Column("by_id", String(200), nullable=False),
    Column("task_id", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("idempotency_key", String(200)),
    Column("request_sha256", LargeBinary, nullable=False),
    Index("action_runs_by_age", "created_at"),
    Index("action_runs_by_key", "by_kind", "by_id", "idempotency_key", unique=True),
)
"""A caller's wish. *task_id* is the newest of its tasks, whose state is the run's. *request_sha256* tells if another request with
the same *idempotency_key* asks for the same."""

action_tasks = Table(
    "action_tasks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("run_id", String(40), ForeignKey("action_runs.id", ondelete="CASCADE"), nullable=False),
    Column("runner_id", String(40), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("effect", String(10), nullable=False),
    Column("order_sealed", LargeBinary, nullable=False),
    Column("order_sha256", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("delivery", Integer, nullable=False),
    Column("silent", Integer, nullable=False),
    Column("instance", String(40)),
    Column("given_at", BigInteger),
    Column("renewed_at", BigInteger),
    Column("began", Boolean, nullable=False),
    Column("doubtful_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("code", String(40)),
    Column("reason", Text),
    Column("outcome_sealed", LargeBinary),
    Column("result_id", String(200)),
    Index("action_tasks_by_run", "run_id", "number"),
    Index("action_tasks_by_state", "state", "runner_id", "created_at"),
)
"""A signed order, sealed and bound to its row. *state* and *effect* are those of `actions.states`. *instance* has its newest
lease, which was *renewed_at* by a pull; *began* says that it told that it acts. *silent* counts the instances that fell
silent with it. *code* and *reason* are the failure's, or ours where no result came; *outcome_sealed* is a result as it came."""

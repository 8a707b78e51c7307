"""Every error that the control plane raises on purpose.

    SyntheticsError (worker.errors: the root of both programs)
    └── ControlPlaneError      the text names the thing, the value and the place, and holds no secret
        ├── DatabaseError          a database that is missing, foreign, or closed to its key
        │   ├── SchemaError            a schema that a newer version of this program made
        │   ├── OutdatedError          a schema of an older version, and a command that may not change it
        │   ├── ReplacedError          a database that was deleted or replaced while it was open
        │   └── StatementError         an open database that failed a statement: locked, full, read-only, out of connections
        ├── UnusableError          an argument, a file or a definition that cannot be used as it is
        │   ├── TemplatePathError      a template of a workflow whose path is not there
        │   ├── NotYAMLError           text that is not YAML, or not what JSON can say
        │   ├── NotFoundError          a name that nothing has
        │   ├── ConflictError          a name that something else has, or that several have
        │   └── InUseError             a location whose end would leave workers or tests without one
        ├── ForbiddenError         a use case that the caller's scopes do not reach
        ├── AttemptsError          sign-ins that failed too often: come back later
        ├── SignOnError            a provider of identities that does not answer, or not as it should
        ├── RemoteError            a control plane at a URL that does not answer, or not as it should
        ├── UnknownCallerError     a worker's request that proves nothing: answered by an unsigned 401, with the reason in our log
        ├── SequenceError          a worker's request whose number is not newer than the last one
        └── RefusedError           a worker's request that ends with a signed refusal
            └── HookRefusedError       a request to a hook that starts nothing

A command ends with all of them as one line and exit 2; the worker protocol answers a DatabaseError with 503. Errors carry
fields; nobody parses their text.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from worker.errors import SyntheticsError
from worker.text import counted, listed

MOST_NAMES = 10
"""Names in one line; the rest are counted."""


class ControlPlaneError(SyntheticsError):
    """The root of what an operator or a client can mend."""


class DatabaseError(ControlPlaneError):
    """A database that is missing, foreign, or closed to its key."""


class SchemaError(DatabaseError):
    """A schema that a newer version of this program made. *known* is the newest one that this program knows."""

    def __init__(self, place: str, *, found: str, known: str) -> None:
        self.found = found
        self.known = known
        super().__init__(
            f"database {place} has schema {found!r}: it was made by a newer version than this one, which knows {known}"
        )


class OutdatedError(DatabaseError):
    """A schema of an older version, which is changed by `serve` and `migrate` alone."""

    def __init__(self, place: str, *, found: str, known: str) -> None:
        self.found = found
        self.known = known
        super().__init__(f"database {place} has schema {found!r} of an older version; this one needs {known!r}")


class ReplacedError(DatabaseError):
    """A database that was deleted or replaced while it was open: what would be written to it, nobody would find again."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"database {place} was deleted or replaced while it was open: put it back, or its copy, and start again"
        )


class DatabaseTrouble(Enum):
    """The cause of a failed statement, whatever the driver calls it."""

    LOCKED = "locked"
    FULL = "full"
    READ_ONLY = "read_only"
    OTHER = "other"


class StatementError(DatabaseError):
    """An open database that failed a statement. *reason* is the driver's own text."""

    def __init__(self, place: str, reason: str, trouble: DatabaseTrouble) -> None:
        self.reason = reason
        self.trouble = trouble
        super().__init__(f"database {place}: {reason}")


class UnusableError(ControlPlaneError):
    """An argument, a file or a definition that cannot be used as it is. *field* is the argument's name, where it is one's."""

    def __init__(self, text: str, *, field: str = "") -> None:
        self.field = field
        super().__init__(text)


class NotYAMLError(UnusableError):
    """Text that is not YAML, or not what JSON can say; *line* is where."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        super().__init__(f"is not valid YAML: {reason} at line {line}")


class TemplatePathError(UnusableError):
    """A template at *place* whose *path* is not there, or not of use there: *reason*."""

    def __init__(self, place: str, path: str, reason: str) -> None:
        self.place = place
        self.path = path
        self.reason = reason
        super().__init__(f"{place}: {path or 'the template'} {reason}")


class NotFoundError(UnusableError):
    """*name* is not the name of a *kind*. *known* are the names that there are, where they are few enough to be shown."""

    def __init__(self, kind: str, name: str, known: Sequence[str] = ()) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        shown = f"; there are: {', '.join(known)}" if known else ""
        super().__init__(f"no {kind} {name!r}{shown}", field=kind)


class ConflictError(UnusableError):
    """*name* is taken by another *kind*, or by several: then *ids* tells them apart. *place* is that of a definition."""

    def __init__(self, kind: str, name: str, ids: Sequence[str] = (), *, place: str = "") -> None:
        self.kind = kind
        self.name = name
        self.ids = tuple(ids)
        self.place = place
        conflict = f"{len(ids)} {kind}s are named {name!r}" if ids else f"a {kind} named {name!r} exists"
        super().__init__(f"{place}: {conflict}" if place else conflict, field="name")


class ForbiddenError(ControlPlaneError):
    """A use case that needs *scope*, asked for by *caller* without it."""

    def __init__(self, caller: str, scope: str) -> None:
        self.caller = caller
        self.scope = scope
        super().__init__(f"the key {caller!r} lacks the scope {scope!r}")


class AttemptsError(ControlPlaneError):
    """Sign-ins that failed too often, for an account or from an address. *seconds* is the time until the next may be tried."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"too many sign-ins failed: wait {seconds} s")


class SignOnError(ControlPlaneError):
    """A provider of identities that does not answer, or answers what is not valid: *reason*, which repeats no token."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the provider of identities: {reason}")


class RemoteError(ControlPlaneError):
    """A control plane at *url* that does not answer, refuses the keys, or answers nonsense: *reason*, with its cure."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"{url}: {reason}")


class UnknownCallerError(ControlPlaneError):
    """A worker's request whose access key opens nothing. The reason is for the log: the sender may be anybody."""


class InUseError(UnusableError):
    """A location that *workers* serve, seen just now, or that *tests* run at, by their names."""

    def __init__(self, location: str, *, workers: int, tests: Sequence[str]) -> None:
        self.location = location
        self.workers = workers
        self.tests = tuple(tests)
        uses = []
        if workers:
            uses.append(f"{counted(workers, 'worker')} pulled just now")
        if tests:
            uses.append(
                f"{counted(len(tests), 'test')} would run there no more: {', '.join(listed(tests, MOST_NAMES))}"
            )
        super().__init__(f"location {location!r} is in use: {'; '.join(uses)}")


class SequenceError(ControlPlaneError):
    """A worker's request whose number is not newer than *last*, the newest that was seen."""

    def __init__(self, last: int) -> None:
        self.last = last
        super().__init__("the number is not newer than the last one")


class RefusedError(ControlPlaneError):
    """A worker's request that ends with a signed refusal: its HTTP *status*, and the protocol's *code* and message.

    *last* is the newest number that was seen of the worker, where its request had an older one; *instance* the process that took
    the place of a runner's.
    """

    def __init__(
        self, status: int, code: str, message: str, *, last: int | None = None, instance: str | None = None
    ) -> None:
        self.status = status
        self.code = code
        self.last = last
        self.instance = instance
        super().__init__(message)


class HookRefusedError(RefusedError):
    """A request to a hook that starts nothing. *workflow* is empty where the request does not show that it knows one."""

    def __init__(self, status: int, code: str, message: str, *, workflow: str = "") -> None:
        self.workflow = workflow
        super().__init__(status, code, message)

"""The audit log: a line of JSON when an order was decided on and one when it ended, each with the hash of the line before it.

No inputs, outputs or paths are written, and no secrets. A line that is removed, altered or moved breaks the chain (`audit
verify`); whether the end of it is missing shows against the control plane's own log, which has the same ids. An order whose
decision cannot be written is not carried out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from worker.actions.action import Order
from worker.clock import Clock
from worker.errors import SyntheticsError

BEGINNING: Final = "0" * 64
"""The hash that the first line of a chain has."""
MAX_LINE: Final = 16 * 1024
_TAIL: Final = 2 * MAX_LINE
_SHOWN: Final = 200
"""Characters of a name that a caller chose."""


class AuditError(SyntheticsError):
    """An audit log that cannot be written."""


class AuditLog:
    """Appends to the file *path*, or to standard error without one. A file that was moved away is begun anew, in its chain."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        """Raises AuditError."""
        self._path = path
        self._clock = clock
        self._prev = BEGINNING
        self._is_torn = False
        """The file ends amid a line, as there was no room for the rest of it."""
        self._descriptor = 2
        if path is not None:
            self._descriptor, self._prev = self._open(path)
        self.write("opened", {"pid": os.getpid()})

    def close(self) -> None:
        if self._path is not None:
            os.close(self._descriptor)

    def decided(self, order: Order, *, channel: str, decision: str, rule: str, code: str = "") -> None:
        """*decision* is allowed or denied. Raises AuditError."""
        self.write("decided", {**_about(order), "channel": channel, "decision": decision, "rule": rule, "code": code})

    def ended(
        self, order: Order, *, channel: str, status: str, code: str, milliseconds: int, output: bytes, target: str
    ) -> None:
        """*output* is what leaves, of which size and digest are kept. Raises AuditError."""
        digest = hashlib.sha256(output).hexdigest() if output else ""
        result = {"status": status, "code": code, "duration_ms": milliseconds, "target": target[:_SHOWN]}
        self.write(
            "ended",
            {**_about(order), "channel": channel, **result, "output_bytes": len(output), "output_sha256": digest},
        )

    def write(self, event: str, facts: Mapping[str, Any]) -> None:
        """Append one line. Raises AuditError."""
        self._be_at_path()
        line = orjson.dumps({"time": self._clock.now().isoformat(), "event": event, **facts, "prev": self._prev})
        try:
            written = os.write(self._descriptor, line + b"\n")
        except OSError as error:
            raise AuditError(f"the audit log cannot be written: {error.strerror}") from None
        if written != len(line) + 1:
            self._is_torn = True
            raise AuditError("the audit log cannot be written: the disk is full")
        self._prev = hashlib.sha256(line).hexdigest()

    def _be_at_path(self) -> None:
        """Begin the file anew where it was moved away, and go on after a torn line, which stays and is in the chain."""
        if self._path is None or (_is_at(self._descriptor, self._path) and not self._is_torn):
            return
        descriptor, last = self._open(self._path)
        os.close(self._descriptor)
        self._descriptor = descriptor
        if self._is_torn:
            self._prev, self._is_torn = last, False

    def _open(self, path: Path) -> tuple[int, str]:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            size = os.fstat(descriptor).st_size
            tail = os.pread(descriptor, _TAIL, max(0, size - _TAIL))
            if tail and not tail.endswith(b"\n"):
                os.write(descriptor, b"\n")  # a line that a crash cut short stays, and is in the chain
        except OSError as error:
            raise AuditError(f"the audit log {path} cannot be opened: {error.strerror}") from None
        last = tail.rstrip(b"\n").rpartition(b"\n")[2]
        return descriptor, hashlib.sha256(last).hexdigest() if last else BEGINNING


@dataclass(frozen=True, slots=True)
class ChainFinding:
    """A place at which a chain does not hold. *line* counts from 1 over all files."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The outcome of a check: how many lines there are, and the hash of the last one, by which its end can be known later."""

    lines: int
    last: str
    findings: tuple[ChainFinding, ...]


def verify(paths: Iterable[Path]) -> Verified:
    """Follow the chain through *paths*, oldest first. Raises OSError."""
    findings: list[ChainFinding] = []
    lines, prev = 0, BEGINNING
    for path in paths:
        for number, line in _lines(path):
            lines += 1
            reason = _broken(line, prev, is_first=lines == 1)
            if reason is not None:
                findings.append(ChainFinding(str(path), number, reason))
            prev = hashlib.sha256(line).hexdigest()
    return Verified(lines=lines, last=prev, findings=tuple(findings))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            yield number, line.rstrip(b"\n")


def _broken(line: bytes, prev: str, *, is_first: bool) -> str | None:
    entry = _entry(line)
    if entry is None:
        return "it is not a line of an audit log, or a crash cut it short"
    if is_first:
        return None if entry["prev"] == BEGINNING else "lines before it are missing: the chain began earlier"
    if entry["prev"] == prev:
        return None
    if entry["event"] == "opened" and entry["prev"] == BEGINNING:
        return "a new chain begins here: lines before it may be missing"
    return "the line before it was removed, altered or moved, or this one was"


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = orjson.loads(line)
    except ValueError:
        return None
    is_entry = isinstance(entry, dict) and isinstance(entry.get("prev"), str) and isinstance(entry.get("event"), str)
    return entry if is_entry else None


def _about(order: Order) -> dict[str, str]:
    return {
        "task": order.task[:_SHOWN],
        "run": order.run[:_SHOWN],
        "client": order.client,
        "caller": order.caller[:_SHOWN],
        "action": order.action[:_SHOWN],
        "connection": (order.connection or "")[:_SHOWN],
        "order_sha256": order.order_sha256,
        "kid": order.kid,
    }


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False

"""The audit log: its chain, what breaks it, and what it never holds."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.actions import order
from tests.support.clock import FakeClock
from worker.actionrunner.audit import AuditError, AuditLog, verify


def written(path: Path, count: int = 5) -> list[bytes]:
    log = AuditLog(path, FakeClock())
    for number in range(count):
        made = order("http.request", {"url": "https://secret.test/path"}, task=f"task-{number}")
        log.decided(made, channel="pull", decision="allowed", rule="r")
        log.ended(made, channel="pull", status="succeeded", code="", milliseconds=1, output=b"{}", target="h:1")
    log.close()
    return path.read_bytes().splitlines(keepends=True)


def test_an_untouched_chain_holds_over_restarts_and_files(tmp_path: Path) -> None:
    path, moved = tmp_path / "audit.log", tmp_path / "audit.log.1"
    written(path)
    log = AuditLog(path, FakeClock())
    path.rename(moved)
    log.decided(order("data.jq"), channel="pull", decision="denied", rule="", code="DENIED")
    log.close()
    found = verify([moved, path])
    assert found.findings == ()
    assert found.lines == 13
    assert verify([path]).findings != ()


def test_each_line_that_is_removed_altered_or_moved_is_found(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    lines = written(path)
    for index in range(len(lines) - 1):
        removed = lines[:index] + lines[index + 1 :]
        altered = [*lines]
        altered[index] = altered[index].replace(b'"time":"2026', b'"time":"2027')
        swapped = [*lines]
        swapped[index], swapped[index + 1] = swapped[index + 1], swapped[index]
        for spoilt in (removed, altered, swapped):
            path.write_bytes(b"".join(spoilt))
            assert verify([path]).findings != (), index


def test_a_chain_that_is_made_anew_is_found_where_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    lines = written(path)
    other = written(tmp_path / "other.log", 1)
    path.write_bytes(b"".join([*lines, *other]))
    assert [finding.line for finding in verify([path]).findings] == [len(lines) + 1]


def test_the_end_is_known_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    lines = written(path)
    whole = verify([path]).last
    path.write_bytes(b"".join(lines[:-1]))
    assert verify([path]).last != whole


def test_a_line_that_a_crash_cut_short_is_named_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    lines = written(path)
    path.write_bytes(b"".join(lines)[:-20])
    log = AuditLog(path, FakeClock())
    log.close()
    findings = verify([path]).findings
    assert [finding.line for finding in findings] == [len(lines)]
    assert "cut it short" in findings[0].reason


def test_neither_inputs_nor_outputs_are_written(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    written(path)
    assert b"secret.test" not in path.read_bytes()
    entry = json.loads(path.read_bytes().splitlines()[2])
    assert (entry["output_bytes"], entry["target"], entry["task"]) == (2, "h:1", "task-0")


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AuditError):
        AuditLog(tmp_path / "nowhere" / "audit.log", FakeClock())
    with pytest.raises(AuditError):
        AuditLog(Path("/dev/full"), FakeClock())


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond *size* bytes: the kernel writes what fits, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_line_that_a_full_disk_cut_short_is_named_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path, FakeClock())
    with room_for(path.stat().st_size + 30), pytest.raises(AuditError, match="the disk is full"):
        log.write("decided", {"task": "lost"})
    log.write("decided", {"task": "next"})
    log.close()
    assert [json.loads(line).get("task") for line in path.read_bytes().splitlines() if line.endswith(b"}")] == [
        None,
        "next",
    ]
    [finding] = verify([path]).findings
    assert (finding.line, "cut it short" in finding.reason) == (2, True)

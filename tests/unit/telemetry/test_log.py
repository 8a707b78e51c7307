"""Both log formats: what a record looks like, and that nothing from a target can break out of its line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.secret import Secret
from worker.telemetry.log import configure

LOG = logging.getLogger("worker.tests")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("worker")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)


def lines(style: str, message: str, *, verbosity: int = 3, **extra: object) -> list[str]:
    stream = io.StringIO()
    configure("json" if style == "json" else "pretty", verbosity, stream)
    LOG.info("%s", message, extra=extra)
    return stream.getvalue().removesuffix("\n").split("\n")


def test_a_json_record_is_one_object_with_its_extras() -> None:
    (line,) = lines("json", "pulled", action="pulled", jobs=3, path=Path("/tmp/x"), leases=("a", "b"))
    record = json.loads(line)
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "level": "info",
        "action": "pulled",
        "message": "pulled",
        "logger": "worker.tests",
        "jobs": 3,
        "path": "/tmp/x",
        "leases": ["a", "b"],
    }


def test_the_timestamp_is_utc_in_milliseconds() -> None:
    stream = io.StringIO()
    configure("json", 3, stream)
    record = logging.makeLogRecord(
        {"name": "worker", "levelno": logging.INFO, "msg": "x", "created": 1_767_323_045.0419}
    )
    logging.getLogger().handle(record)
    assert json.loads(stream.getvalue())["timestamp"] == "2026-01-02T03:04:05.041Z"


def test_a_pretty_record_reads_time_level_message_details() -> None:
    (line,) = lines("pretty", "pulled jobs", action="pulled", jobs=3, reason="no slots")
    assert line.partition("Z  ")[2] == 'INFO   pulled jobs  action=pulled jobs=3 reason="no slots"'


def test_colour_is_for_terminals_only() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        configure("pretty", 3, stream)
        LOG.info("x", extra={"action": "x"})
    assert "\x1b[" in terminal.getvalue()
    assert "\x1b[" not in pipe.getvalue()


def test_an_exception_is_one_field_of_a_json_record() -> None:
    stream = io.StringIO()
    configure("json", 3, stream)
    try:
        int("first\nsecond")
    except ValueError:
        LOG.exception("failed", extra={"action": "failed"})
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["exception"].startswith("Traceback (most recent call last):\n  File ")


def test_a_pretty_traceback_is_indented_so_that_no_line_of_it_passes_for_a_record() -> None:
    stream = io.StringIO()
    configure("pretty", 3, stream)
    error = ValueError("x\n2026-01-01T00:00:00.000Z  ERROR  forged\r\x1b[2K")
    LOG.error("failed", exc_info=error, extra={"action": "failed"})
    first, *others = stream.getvalue().removesuffix("\n").split("\n")
    assert "failed" in first
    assert others
    assert all(line.startswith("    ") for line in others)
    assert "\\u000d\\u001b[2K" in others[-1]


HOSTILE = "a\nb\r\x1b[31m\x00\x7f\x9b2J\u2028\u202e\ud800"


@pytest.mark.parametrize("style", ["pretty", "json"])
def test_control_characters_from_a_target_are_escaped(style: str) -> None:
    (line,) = lines(style, HOSTILE, action="x", host=HOSTILE, headers={HOSTILE: [HOSTILE]})
    assert line.isprintable()
    line.encode()


@pytest.mark.parametrize("style", ["pretty", "json"])
@given(text=st.text(max_size=50), number=st.integers(), real=st.floats())
def test_any_text_stays_on_one_line(style: str, text: str, number: int, real: float) -> None:
    (line,) = lines(style, text, action="x", text=text, number=number, real=real)
    line.encode()
    assert "\x1b" not in line
    if style == "json":
        record = json.loads(line)
        assert record["message"] == text or any("\ud800" <= character <= "\udfff" for character in text)


@pytest.mark.parametrize("style", ["pretty", "json"])
def test_a_secret_among_the_extras_stays_one(style: str) -> None:
    (line,) = lines(style, "x", action="x", key=Secret("canary"), nested={"key": [Secret("canary")]})
    assert "canary" not in line
    assert "<redacted>" in line


def test_an_extra_cannot_replace_a_field_of_the_record() -> None:
    (line,) = lines("json", "x", action="x", level="forged", logger="forged", timestamp="forged")
    record = json.loads(line)
    assert (record["level"], record["logger"]) == ("info", "worker.tests")
    assert (record["extra.level"], record["extra.logger"], record["extra.timestamp"]) == ("forged",) * 3


@pytest.mark.parametrize(
    ("verbosity", "shown"),
    [(1, ["error"]), (2, ["error", "warn"]), (3, ["error", "warn", "info"]), (4, ["error", "warn", "info", "debug"])],
)
def test_verbosity_1_to_4_shows_errors_to_details(verbosity: int, shown: list[str]) -> None:
    stream = io.StringIO()
    configure("json", verbosity, stream)
    for level in (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG):
        LOG.log(level, "x", extra={"action": "x"})
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == shown


def test_libraries_are_heard_from_warnings_on_and_carry_an_action_too() -> None:
    stream = io.StringIO()
    configure("json", 4, stream)
    library = logging.getLogger("a_library")
    library.info("details")
    library.warning("trouble")
    (line,) = stream.getvalue().splitlines()
    assert (json.loads(line)["message"], json.loads(line)["action"]) == ("trouble", "library")


def test_configuring_again_replaces_the_former_stream() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("json", 3, first)
    configure("json", 3, second)
    LOG.info("x", extra={"action": "x"})
    assert not first.getvalue()
    assert second.getvalue()

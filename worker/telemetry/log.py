"""The format of log records: `pretty` for people, `json` for collectors, one record a line in both.

Every record carries the stable name of what happened (`action`) and its details as extras. What comes from targets and peers
may stand in any of them, so control characters are escaped and nothing can begin a line of its own. Decides nothing about what
is logged.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import orjson

from worker.program.terminal import coloured

LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}
"""Verbosity, as the option counts it, to the least level that is shown."""
NAMES = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "error",
}
COLOURS = {"debug": "\x1b[2m", "info": "\x1b[32m", "warn": "\x1b[33m", "error": "\x1b[31m"}
DIM, RESET = "\x1b[2m", "\x1b[0m"

OWN_PACKAGE = "worker"
NO_ACTION = "library"
"""The action of records that are not ours."""

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every record has; all else is an extra."""

# C0, DEL and C1; line and paragraph separators; marks that turn the direction of writing; lone surrogates.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def configure(
    style: Literal["pretty", "json"], verbosity: int, stream: TextIO, packages: Sequence[str] = (OWN_PACKAGE,)
) -> None:
    """Send all records to *stream*, those of our *packages* from *verbosity* on.

    Libraries are heard from warnings on: their details may hold what ours never do.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter() if style == "json" else PrettyFormatter(colour=coloured(stream)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(LEVELS[verbosity], logging.WARNING))
    for package in packages:
        logging.getLogger(package).setLevel(LEVELS[verbosity])


class JSONFormatter(logging.Formatter):
    """One JSON object a line: timestamp, level, action, message, logger, the extras, and `exception` with the whole traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": _timestamp(record),
            "level": NAMES.get(record.levelno, "info"),
            "action": _action(record),
            "message": record.getMessage(),
            "logger": record.name,
        }
        for name, value in _extras(record).items():
            line[f"extra.{name}" if name in line or name == "exception" else name] = value
        if exception := _exception(self, record):
            line["exception"] = exception
        return _escaped(orjson.dumps(_plain(line)).decode())


class PrettyFormatter(logging.Formatter):
    """`time LEVEL message  action=… key=value`; a traceback follows on indented lines, so that none looks like a record."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        level = NAMES.get(record.levelno, "info")
        details = {"action": _action(record)} | _extras(record)
        text = "  ".join(
            (
                self._painted(_timestamp(record), DIM),
                self._painted(f"{level.upper():5}", COLOURS[level]),
                _escaped(record.getMessage()),
                self._painted(" ".join(f"{key}={_shown(value)}" for key, value in details.items()), DIM),
            )
        )
        exception = _exception(self, record)
        return "\n    ".join((text, *map(_escaped, exception.split("\n")))) if exception else text

    def _painted(self, text: str, colour: str) -> str:
        return f"{colour}{text}{RESET}" if self._colour else text


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _action(record: logging.LogRecord) -> str:
    return str(getattr(record, "action", NO_ACTION))


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in STANDARD and key != "action"}


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """The traceback as one text. It holds source lines and messages, no variables."""
    return formatter.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""


def _plain(value: object) -> Any:
    """A value that JSON can say: containers of texts, numbers and null; everything else by its own text, as a Secret's."""
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else str(value)
        case str():
            return UNSAFE.sub(_escape_surrogate, value)
        case Mapping():
            return {str(key): _plain(member) for key, member in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(member) for member in value]
    return _plain(str(value))


def _shown(value: object) -> str:
    """A value in a pretty line: bare where it cannot be misread, else as JSON."""
    plain = _plain(value)
    if isinstance(plain, str) and re.fullmatch(r"[\w./:@%+,#*~-]+", plain):
        return _escaped(plain)
    return _escaped(json.dumps(plain, ensure_ascii=False))


def _escaped(text: str) -> str:
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape_surrogate(found: re.Match[str]) -> str:
    """No UTF-8 text holds half a pair, so it is escaped here; the rest is escaped once, after encoding."""
    return f"\\u{ord(found[0]):04x}" if "\ud800" <= found[0] <= "\udfff" else found[0]

"""What a person wrote, brought to one form whatever it was written in: a flag, a variable, a mounted file, or JSON.

Also how messages repeat what was written (`quoted`), and the cure for a file that cannot be read. Knows the forms of lists,
numbers and PEM texts; what a value means is `values`' knowledge.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from worker.config.option import NUMBERS, Kind, Option, Written

QUOTED_CHARACTERS = 200
"""Longest part of a value that a message repeats."""
MOST_DIGITS = 18
"""Digits of a number: more than any bound has, and exact enough."""
MAX_FILE_BYTES = 1024 * 1024
"""Largest config, key or certificate file: a hundred times what a real one needs."""


class Mistake(ValueError):  # noqa: N818  # the word for what a person made
    """A value that cannot be used: the reason alone. Whoever knows option and place makes a ConfigError of it."""


class Absent(Mistake):
    """A file that is not there, which for the config file at its default place is no mistake."""


def quoted(value: object) -> str:
    """A value as messages repeat it: on one line, control characters escaped, not too long, without a URL's credentials."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    before = text.rpartition("@")[0]
    if ":" in before:
        text = f"<redacted>{text[len(before) :]}"
    if len(text) > QUOTED_CHARACTERS:
        text = text[:QUOTED_CHARACTERS] + "…"
    return json.dumps(text, ensure_ascii=not text.isprintable())


def from_text(option: Option, text: str) -> Written:
    """A flag's, a variable's or a mounted file's text. Raises Mistake."""
    if option.kind is Kind.PRIVATE_KEY:
        return _pem_blocks(_list_from_text(text, separator=None))
    if option.many:
        return _list_from_text(text, separator=",")
    if option.kind is Kind.BOOLEAN:
        return _boolean_from_text(text)
    if option.kind in NUMBERS:
        return _whole_number_from_text(text)
    return text.strip()


def from_json(option: Option, value: object) -> Written:
    """A value of the config file. Raises Mistake."""
    if option.many:
        if isinstance(value, str) and option.one_or_many:
            value = [value]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise Mistake(f"must be a list of strings, not {_json_type(value)}")
        return _pem_blocks(tuple(value)) if option.kind is Kind.PRIVATE_KEY else tuple(value)
    if option.kind is Kind.BOOLEAN:
        if not isinstance(value, bool):
            raise Mistake(f"must be true or false, not {_json_type(value)}")
        return value
    if option.kind in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Mistake(f"must be a whole number, not {_json_type(value)}")
        return _whole_number(value)
    if not isinstance(value, str):
        raise Mistake(f"must be a string, not {_json_type(value)}")
    return value


def read_file(path: str, *, called: str) -> str:
    """The text of a small file, which messages call *called*. Raises Mistake with the cure."""
    try:
        return read_bytes(path, called=called, at_most=MAX_FILE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Mistake(f"{called} is no UTF-8 text") from None


def read_bytes(path: str, *, called: str, at_most: int) -> bytes:
    """The content of a file of *at_most* so many bytes. Raises Mistake with the cure."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(at_most + 1)
    except OSError as error:
        kind = Absent if isinstance(error, FileNotFoundError) else Mistake
        raise kind(_unreadable(path, called, error)) from None
    except ValueError:
        raise Mistake(f"{called} cannot be read: its name holds a null character") from None
    if len(data) > at_most:
        raise Mistake(f"{called} is larger than {at_most} bytes")
    return data


def _unreadable(path: str, called: str, error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return f"{called} does not exist"
        case IsADirectoryError():
            return (
                f"{called} is a directory, not a file (docker run -v makes one where the file to mount does not exist:"
                " check the path before the colon)"
            )
        case PermissionError():
            return f"{called} cannot be read by user {os.geteuid()}{_owner(path)}"
    return f"{called} cannot be read: {error.strerror}"


def _owner(path: str) -> str:
    try:
        status = Path(path).stat()
    except OSError:
        return ": one of its directories is closed to that user"
    return (
        f": it belongs to user {status.st_uid} with mode {status.st_mode & 0o7777:04o}; run the container with"
        f" --user {status.st_uid}, or chown the file to {os.geteuid()}, or in Kubernetes set fsGroup"
    )


def _list_from_text(text: str, *, separator: str | None) -> tuple[str, ...]:
    """A JSON list; a brace list as shells leave it, with quotes or without; members between *separator*; or a lone member."""
    text = text.strip()
    if re.match(r"\[\s*[\"\]]", text):
        return _json_list(text)
    if text.startswith("{") and text.endswith("}"):
        return _members(text[1:-1], separator)
    return _members(text, separator)


def _json_list(text: str) -> tuple[str, ...]:
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" (column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Mistake(f"begins like a JSON list and is none{where}") from None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise Mistake("must be a list of strings")
    return tuple(items)


def _members(text: str, separator: str | None) -> tuple[str, ...]:
    parts = [text] if separator is None else text.split(separator)
    items = [_unquoted(part.strip()) for part in parts]
    if items == [""]:
        return ()
    if "" in items:
        raise Mistake("has an empty member")
    return tuple(items)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _pem_blocks(texts: tuple[str, ...]) -> tuple[str, ...]:
    """One text may hold several keys one below the other; a text without any is kept, for the message about it."""
    blocks: list[str] = []
    for text in texts:
        found = re.findall(r"-----BEGIN [^-]+-----.*?-----END [^-]+-----", text, re.DOTALL)
        blocks.extend(found or [text])
    if not blocks:
        raise Mistake("is empty")
    return tuple(blocks)


def _boolean_from_text(text: str) -> bool:
    match text.strip().lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise Mistake(f"must be true or false, not {quoted(text)}")


def _whole_number_from_text(text: str) -> int:
    text = text.strip()
    if not re.fullmatch(r"[+-]?\d{1,20}(\.\d{1,20})?([eE][+-]?\d{1,3})?", text, re.ASCII):
        raise Mistake(f"must be a whole number, not {quoted(text)}")
    return _whole_number(float(text))


def _whole_number(value: float) -> int:
    """A whole float is one too: the published defaults are written as 5e+6."""
    if not abs(value) < 10**MOST_DIGITS:
        raise Mistake(f"must be a whole number of at most {MOST_DIGITS} digits")
    if int(value) != value:
        raise Mistake(f"must be a whole number, not {value}")
    return int(value)


def _json_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list" if all(isinstance(item, str) for item in value) else "a list of other values"
    return "an object"

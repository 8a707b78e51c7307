"""Files that an operator names: their content, or a Mistake that says what is wrong with the file and what cures it."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from worker.config.mistake import AbsentFile, Mistake

MAX_FILE_BYTES = 1024 * 1024
"""Largest config, key or certificate file: a hundred times what a real one needs."""


def read_file(path: str, *, called: str) -> str:
    """Read the text of a small file, which messages call *called*: UTF-8, or what Windows editors and PowerShell's > write.

    Raises Mistake with the cure.
    """
    data = read_bytes(path, called=called, at_most=MAX_FILE_BYTES)
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # UTF-16 without its mark has one beside every letter of ASCII
        raise Mistake(f"{called} is not UTF-8 text; save it in that encoding")
    return text


def read_bytes(path: str, *, called: str, at_most: int) -> bytes:
    """Read a file of *at_most* so many bytes. Raises Mistake with the cure."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(at_most + 1)
    except OSError as error:
        kind = AbsentFile if isinstance(error, FileNotFoundError) else Mistake
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

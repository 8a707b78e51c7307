"""A terminal with a shell, for what people type: a pseudo-terminal of its own, whose Ctrl-C is the one of a keyboard."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.waiting import PATIENCE, eventually

_PROMPT = re.compile(r"\[(\d+)\] ready> $")
_SIZE = struct.pack("HHHH", 50, 200, 0, 0)


class Terminal:
    """A bash without anybody's settings, started in *folder*, behind *entering* (a command that runs another one)."""

    def __init__(self, folder: Path, environment: Mapping[str, str], entering: Sequence[str] = ()) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, _SIZE)
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *entering, "bash", "--norc", "--noprofile", "--noediting", "-i"],
            cwd=folder,
            env={**environment, "PS1": r"[$?] ready> ", "PS2": "", "TERM": "dumb"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self._output = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._since = 0
        self._prompt()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the shell's end of it is closed
            while piece := os.read(self._master, 65_536):
                self._output += piece

    @property
    def shown(self) -> str:
        """What was shown since the last command was typed."""
        return bytes(self._output[self._since :]).decode(errors="replace").replace("\r\n", "\n")

    def type(self, command: str) -> None:
        """Type *command* and Enter."""
        self._since = len(self._output)
        os.write(self._master, f"{command}\n".encode())

    def run(self, command: str) -> tuple[int, str]:
        """Type *command* and wait for its end: its exit code, and what the terminal showed, the command itself included."""
        self.type(command)
        return self._prompt()

    def wait_for(self, text: str) -> None:
        """Return when *text* was shown since the last command was typed."""
        eventually(lambda: text in self.shown, f"{text!r} in the terminal", lambda: self.shown)

    def press_ctrl_c(self) -> tuple[int, str]:
        """Ctrl-C, and the end of what was running: its exit code, and all that it showed."""
        os.write(self._master, b"\x03")
        return self._prompt()

    def _prompt(self) -> tuple[int, str]:
        eventually(lambda: _PROMPT.search(self.shown), "prompt", lambda: self.shown)
        shown = self.shown
        end = _PROMPT.search(shown)
        assert end is not None
        return int(end[1]), shown[: end.start()]

    def close(self) -> None:
        """End what is running, then the shell. A reader holds the terminal open, so that closing it alone would end nothing."""
        try:
            self._since = len(self._output)
            self.press_ctrl_c()
            os.write(self._master, b"exit\n")
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(PATIENCE)
            os.close(self._master)

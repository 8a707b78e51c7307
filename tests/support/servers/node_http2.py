"""Node's HTTP/2 server, whose paths are ways to answer (see the script)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.peers import peer

_SCRIPT = Path(__file__).with_name("node_http2.mjs")


@contextmanager
def node_http2(certificate: Path) -> Iterator[int]:
    """The port of a server that shows *certificate* (PEM, key included)."""
    command = (peer("node"), str(_SCRIPT), str(certificate))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            assert port, "the server in Node did not start"
            yield int(port)
        finally:
            process.stdin.close()
            process.wait(60)

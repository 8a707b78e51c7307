"""A worker that never sees a scheme of authentication, or HTTP/2, imports nothing of it."""

from __future__ import annotations

import subprocess
import sys

AUTHENTICATION = (
    "worker.net.http.digest",
    "worker.net.http.oauth",
    "worker.net.http.sigv4",
    "worker.probers.authentication",
)
HTTP2 = ("h2", "hpack", "hyperframe", "worker.net.http.http2", "worker.net.http.http2.exchange")


def imported(code: str, *names: str) -> list[str]:
    """The modules among *names* that *code* has imported."""
    code = f"import sys; {code}; print(*sorted(set({names!r}) & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_ordinary_tests_import_no_rare_authentication_and_no_http_2() -> None:
    assert imported("import worker.work.runner", *AUTHENTICATION, *HTTP2) == []
    assert imported("import worker.probers.authentication", *AUTHENTICATION) == sorted(AUTHENTICATION)
    assert imported(
        "import asyncio; from worker.net.http.agreed import prepare_http2; asyncio.run(prepare_http2())", *HTTP2
    ) == sorted(HTTP2)

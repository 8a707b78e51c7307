"""A worker that never sees a scheme of authentication imports nothing of it."""

from __future__ import annotations

import subprocess
import sys

LAZY = ("worker.net.http.digest", "worker.net.http.oauth", "worker.net.http.sigv4", "worker.probers.authentication")


def test_ordinary_tests_import_no_rare_authentication() -> None:
    code = f"import sys; import worker.work.runner; print(*sorted(set({LAZY!r}) & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
    code = f"import sys; import worker.probers.authentication; print(*sorted(set({LAZY!r}) & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == sorted(LAZY)

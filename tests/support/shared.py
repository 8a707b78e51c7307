"""Finds the folder of recorded definitions that may lie beside a checkout; tests that want it skip where it is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_CANDIDATES = (_ROOT.parent / "shared", _ROOT.parent.parent / "shared")

SHARED = next((folder for folder in _CANDIDATES if (folder / "cases").is_dir()), None)

needs_shared = pytest.mark.skipif(SHARED is None, reason="no folder of recorded cases beside this checkout")

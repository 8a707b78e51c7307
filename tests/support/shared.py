"""Finds the folder of recorded definitions that may lie beside a checkout; tests that want it skip where it is absent."""

from __future__ import annotations

import pytest

from tests.support.checkout import ROOT

_CANDIDATES = (ROOT.parent / "shared", ROOT.parent.parent / "shared")

SHARED = next((folder for folder in _CANDIDATES if (folder / "cases").is_dir()), None)

needs_shared = pytest.mark.skipif(SHARED is None, reason="no folder of recorded cases beside this checkout")

"""CONTRIBUTING.md names files that are there, and make targets that the Makefile has."""

from __future__ import annotations

import re

import pytest

from tests.support.checkout import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
PATHS = sorted(set(re.findall(r"`((?:worker|controlplane|tests|docs)/[\w./-]+)`", PAGE)))


@pytest.mark.parametrize("path", PATHS)
def test_a_file_that_is_named_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_it_names_files_at_all() -> None:
    assert len(PATHS) > 20


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([a-z-]+)", PAGE))))
def test_a_make_target_that_is_named_is_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)

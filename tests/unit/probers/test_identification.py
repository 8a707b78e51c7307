"""Who asks: composed once for a test, with its public id where it has one that a header can carry."""

from __future__ import annotations

import pytest

from worker import __version__
from worker.probers.identification import Identification

NAMED = Identification("watcher/2", (("X-Test", "by {publicId}"), ("X-Origin", "synthetics")))


def test_a_test_is_named_by_its_public_id() -> None:
    assert NAMED.fields("abc-def-ghi") == (
        ("User-Agent", "watcher/2"),
        ("X-Test", "by abc-def-ghi"),
        ("X-Origin", "synthetics"),
    )


@pytest.mark.parametrize("public_id", ["", "a\r\nX-Smuggled: 1", "a b", "é", "x" * 101])
def test_a_header_that_names_the_test_is_left_out_where_it_cannot(public_id: str) -> None:
    assert NAMED.fields(public_id) == (("User-Agent", "watcher/2"), ("X-Origin", "synthetics"))


def test_fields_are_composed_once_for_a_test() -> None:
    assert NAMED.fields("abc-def-ghi") is NAMED.fields("abc-def-ghi")


def test_by_default_the_user_agent_has_the_workers_version() -> None:
    assert Identification().fields("abc") == (("User-Agent", f"Synthetics/{__version__}"),)

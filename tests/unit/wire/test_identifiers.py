"""UUIDs that begin with their moment, held against RFC 9562 and the standard library's reading of a UUID."""

from __future__ import annotations

import uuid

import pytest

from worker.wire.bounds import is_instance
from worker.wire.identifiers import timed_uuid

PUBLISHED = 0x017F22E279B0
"""Of the example of RFC 9562, appendix A.6: 2022-02-22T19:22:22Z, written 017f22e2-79b0-7…"""


@pytest.mark.parametrize("moment", [0, 1, PUBLISHED, 2**48 - 1])
def test_it_is_a_uuid_of_version_seven_that_begins_with_its_moment(moment: int) -> None:
    made = timed_uuid(moment)
    read = uuid.UUID(made)
    assert is_instance(made)
    assert (read.version, read.variant) == (7, uuid.RFC_4122)
    assert read.int >> 80 == moment


def test_the_example_of_the_specification_begins_so() -> None:
    assert timed_uuid(PUBLISHED).startswith("017f22e2-79b0-7")


@pytest.mark.parametrize(("moment", "written"), [(-1, 0), (2**48, 2**48 - 1), (10**18, 2**48 - 1)])
def test_a_moment_that_has_no_room_is_the_nearest_that_has(moment: int, written: int) -> None:
    assert uuid.UUID(timed_uuid(moment)).int >> 80 == written


def test_all_other_bits_are_random() -> None:
    made = [uuid.UUID(timed_uuid(PUBLISHED)).int for _ in range(1000)]
    assert len(set(made)) == len(made)
    ones, zeros = 0, 0
    for one in made:
        ones, zeros = ones | one, zeros | ~one
    fixed = (((1 << 48) - 1) << 80) | (0xF << 76) | (0b11 << 62)
    assert ones & zeros & ((1 << 128) - 1) == ((1 << 128) - 1) & ~fixed


def test_later_ones_sort_later() -> None:
    made = [timed_uuid(PUBLISHED + moment) for moment in range(1000)]
    assert made == sorted(made)

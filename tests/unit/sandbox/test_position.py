from __future__ import annotations

import contextlib

from worker.sandbox.position import Position, open_shared_page


def test_both_sides_see_one_number_that_begins_at_nought() -> None:
    with open_shared_page() as page, contextlib.closing(Position(page.fileno())) as one:
        with contextlib.closing(Position(page.fileno())) as other:
            assert one.read() == 0
            other.write(2**32 - 1)
        assert one.read() == 2**32 - 1


def test_it_outlives_its_file() -> None:
    with open_shared_page() as page:
        position = Position(page.fileno())
    position.write(7)
    assert position.read() == 7
    position.close()

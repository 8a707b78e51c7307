"""The one spelling of an instance's id, held against the standard library's reading of a UUID."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.wire.bounds import is_instance

UUIDS = st.uuids().map(str)


def is_canonical(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


@given(UUIDS)
def test_every_uuid_in_its_canonical_spelling_is_one(text: str) -> None:
    assert is_instance(text)


@given(st.one_of(st.text(), st.text("0123456789abcdefABCDEF-{}: \nurn", min_size=30, max_size=46)))
@example("00000000-0000-0000-0000-000000000000\n")
@example("０0000000-0000-0000-0000-000000000000")
def test_of_any_text_it_says_what_the_standard_library_says(text: str) -> None:
    assert is_instance(text) is is_canonical(text)


@given(UUIDS, st.integers(0, 36), st.text(max_size=2), st.integers(0, 2))
def test_of_a_uuid_that_was_changed_it_says_what_the_standard_library_says(
    text: str, at: int, put_in: str, left_out: int
) -> None:
    changed = text[:at] + put_in + text[at + left_out :]
    assert is_instance(changed) is is_canonical(changed)


@pytest.mark.parametrize(
    "text",
    [
        "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
        "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
        "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "6ba7b8109dad11d180b400c04fd430c8",
    ],
)
def test_another_spelling_is_none(text: str) -> None:
    assert uuid.UUID(text)
    assert not is_instance(text)

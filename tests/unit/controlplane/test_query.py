"""The query language of search, and its bounds."""

from __future__ import annotations

import pytest

from controlplane.errors import UnusableError
from controlplane.service import query
from controlplane.store.testsearch import EVERYTHING, SearchTerms

QUERIES = {
    "": EVERYTHING,
    "checkout": SearchTerms(words=("checkout",)),
    "two words": SearchTerms(words=("two", "words")),
    '"one phrase"': SearchTerms(words=("one phrase",)),
    "name:shop": SearchTerms(words=("shop",)),
    "tag:team:shop": SearchTerms(tags=("team:shop",)),
    'tag:"k:v w"': SearchTerms(tags=("k:v w",)),
    "team:a tag:b": SearchTerms(tags=("team:a", "b")),
    "type:api": EVERYTHING,
    "type:browser": SearchTerms(nothing=True),
    "type:dns status:paused": SearchTerms(subtypes=("dns",), paused=True),
    "status:live status:paused": SearchTerms(paused=True, nothing=True),
    'location:"pl:office-1"': SearchTerms(places=("pl:office-1",)),
    '"unclosed': SearchTerms(words=("unclosed",)),
}


@pytest.mark.parametrize(("text", "expected"), QUERIES.items())
def test_a_query_is_read(text: str, expected: SearchTerms) -> None:
    assert query.read(text) == expected


@pytest.mark.parametrize("text", ["x" * 1001, "x " * 21], ids=["long", "many"])
def test_a_query_has_bounds(text: str) -> None:
    with pytest.raises(UnusableError, match="at most"):
        query.read(text)

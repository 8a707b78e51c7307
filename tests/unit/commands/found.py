"""One of each that a command may find in the files that it was given."""

from __future__ import annotations

from tests.support.definitions import STATUS, api_test, http_test
from worker.apitest.files import Definition, Unusable

VALID = Definition(file="a.json", index=0, value=http_test("front page"))
INVALID = Definition(file="a.jsonl", line=7, value=http_test("front page", config={}))
BARE = Definition(
    file="c.json",
    value=api_test("http", STATUS, url="https://shop.test/", certificate={"cert": {"filename": "c.pem"}})
    | {"name": "front page"},
)
"""A test whose client certificate was left out by the export."""
LATER = Definition(file="a.json", index=1, value=http_test("front page", subtype="grpc"))
MISSPELT = Definition(
    file="d.json",
    value=http_test(
        "front page",
        options={"tick_evry": 60},
        config={
            "request": {"method": "GET", "url": "https://shop.test/", "timout": 5},
            "assertions": [{"type": "statusCode", "operator": "is", "target": 200}],
        },
    ),
)
UNUSABLE = Unusable(file="b.json", reason="is not valid JSON")

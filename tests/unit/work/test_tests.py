"""API tests as a kind of work: what is left of a result that the control plane refuses for its size."""

from __future__ import annotations

import orjson
import pytest

from worker.work.tests import without_body


def test_a_result_that_is_too_large_keeps_everything_but_its_body() -> None:
    result = {"status": "failed", "response": {"status_code": 500, "body": "x" * 1000, "is_body_truncated": False}}
    smaller = without_body(orjson.dumps(result))
    assert smaller is not None
    assert orjson.loads(smaller) == {
        "status": "failed",
        "response": {"status_code": 500, "body": "", "is_body_truncated": True},
    }


@pytest.mark.parametrize("outcome", [b"{}", b"[]", b'{"response": null}', b'{"response": {"body": ""}}'])
def test_a_result_without_a_body_cannot_be_made_smaller(outcome: bytes) -> None:
    assert without_body(outcome) is None

"""Bodies of forms as browsers send them, and as they do not."""

from __future__ import annotations

import pytest

from controlplane.errors import RefusedError
from controlplane.pages.forms import CONTENT_TYPE, MAX_FIELDS, read_form


def test_fields_come_in_their_order_with_plain_line_ends() -> None:
    form = read_form(CONTENT_TYPE, b"name=gr%C3%BC%C3%9Fe&tag=a&tag=b+c&text=1%0D%0A2&empty=")
    assert list(form.items()) == [("name", "grüße"), ("tag", "a"), ("tag", "b c"), ("text", "1\n2"), ("empty", "")]


@pytest.mark.parametrize(
    "body",
    [b"name=%FF", b"name=\xc3\xbc", b"name", b"&".join([b"a=1"] * (MAX_FIELDS + 1))],
    ids=["not UTF-8", "not ASCII", "no value", "too many"],
)
def test_what_no_browser_sends_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        read_form(CONTENT_TYPE, body)
    assert refused.value.status == 400


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "text/plain", ""])
def test_another_kind_of_body_is_refused(kind: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read_form(kind, b"a=1")
    assert refused.value.status == 415

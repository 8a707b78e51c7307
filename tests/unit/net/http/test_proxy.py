"""A test's proxy from its text: what is read, and what is refused without repeating a secret."""

from __future__ import annotations

import pytest

from worker.net.http.error import HTTPError
from worker.net.http.proxy import proxy_of
from worker.outcome.failure import FailureCode
from worker.secret import Secret

CANARY = "canary5ecret"


def test_a_proxy_is_a_url_and_fields_of_its_own() -> None:
    url = Secret("https://u:p%20w@Proxy.test:3128/")
    proxy = proxy_of(url, (("X-Tenant", "shop"),), verify=False)
    assert (str(proxy), proxy.verify) == ("https://proxy.test:3128", False)
    assert (proxy.username, proxy.password) == (Secret("u"), Secret("p w"))
    assert [(name, value.reveal()) for name, value in proxy.headers] == [("X-Tenant", "shop")]


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://{CANARY}@proxy.test",
        f"http://{CANARY}@",
        f"http://u:{CANARY}@proxy.test:{CANARY}",
        f"http://proxy.test:{CANARY}",
        f"http://u:{CANARY}@[::1",
        f"http://u:{CANARY}@proxy.test:70000",
        CANARY,
    ],
)
def test_what_is_not_the_url_of_a_proxy_is_told_without_its_text(url: str) -> None:
    with pytest.raises(HTTPError) as caught:
        proxy_of(Secret(url), (), verify=True)
    assert caught.value.failure.code is FailureCode.INVALID_REQUEST
    assert CANARY not in caught.value.failure.message


@pytest.mark.parametrize(
    ("field", "code"),
    [
        (("X-A", f"{CANARY}\r\nX-B: c"), FailureCode.INVALID_CHAR_IN_HEADER),
        (("X-A", f"{CANARY}☃"), FailureCode.INVALID_CHAR_IN_HEADER),
        (("X A", CANARY), FailureCode.INVALID_CHAR_IN_HEADER),
        (("Host", CANARY), FailureCode.INVALID_REQUEST),
        (("content-length", CANARY), FailureCode.INVALID_REQUEST),
        (("Transfer-Encoding", CANARY), FailureCode.INVALID_REQUEST),
    ],
)
def test_fields_that_connect_cannot_carry_are_refused(field: tuple[str, str], code: FailureCode) -> None:
    with pytest.raises(HTTPError) as caught:
        proxy_of(Secret("http://proxy.test"), (field,), verify=True)
    assert caught.value.failure.code is code
    assert CANARY not in caught.value.failure.message

"""Whole definitions that authenticate, go through a proxy of their own and upload, from their JSON to the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.definitions import STATUS, api_test
from tests.support.servers.digest import DigestGate
from tests.support.servers.http import Seen, reply, serving
from tests.support.servers.proxy import HTTPProxy
from worker import start
from worker.apitest.parse import parse
from worker.apitest.result import Result, Status
from worker.config.load import load_local

ISSUED = reply(b'{"access_token": "t0ken", "token_type": "Bearer"}')
FILE = {
    "name": "file name",
    "originalFileName": "image.png",
    "type": "image/png",
    "content": "aGk=",
    "encoding": "base64",
}


async def result(folder: Path, *assertions: dict[str, Any], **request: Any) -> Result:
    config = load_local(["--whitelistedRange.4=127.0.0.0/8"], {}, certificates=str(folder)).config
    test = parse(api_test("http", STATUS, *assertions, **request))
    assert (test.requires_update, test.ignored) == ((), ())
    (found,) = [one async for _, one in start.check(config, [test])]
    return found


def phases(found: Result) -> list[str]:
    return [name for name, _ in found.timings.tenths]


@pytest.mark.parametrize(
    ("auth", "grant"),
    [
        ({"type": "oauth-client", "clientId": "c", "clientSecret": "s"}, b"grant_type=client_credentials"),
        ({"type": "oauth-rop", "username": "ann", "password": "p"}, b"grant_type=password&username=ann&password=p"),
    ],
)
async def test_a_token_a_proxy_and_a_form_in_one_test(tmp_path: Path, auth: dict[str, str], grant: bytes) -> None:
    def answer(seen: Seen) -> bytes:
        right = seen.header("Authorization") == "Bearer t0ken" and b'filename="image.png"' in seen.body
        return reply(b"in", status="200 OK" if right else "403 Forbidden")

    async with serving(ISSUED) as issuer, serving(answer) as target, HTTPProxy(credentials=("u", "p")) as proxy:
        found = await result(
            tmp_path,
            {"type": "body", "operator": "is", "target": "in"},
            method="POST",
            url=target.url(),
            bodyType="multipart/form-data",
            form={"who": "me"},
            files=[FILE],
            basicAuth=auth | {"accessTokenUrl": issuer.url("/token"), "tokenApiAuthentication": "header"},
            proxy={"url": f"http://u:p@{proxy.host}:{proxy.port}", "headers": {"X-Tenant": "shop"}},
        )
    assert (found.status, found.failure) == (Status.PASSED, None)
    assert phases(found) == ["authentication", "proxy", "firstByte", "download"]
    assert issuer.seen[0].body.startswith(grant)
    assert [port for _, port in proxy.asked] == [issuer.port, target.port]


async def test_digest_with_a_wrong_password_fails_by_the_status(tmp_path: Path) -> None:
    async with serving(DigestGate()) as target:
        auth = {"type": "digest", "username": "Mufasa", "password": "wrong"}
        found = await result(tmp_path, url=target.url(), basicAuth=auth)
        assert found.failure is not None
        assert (found.status, found.failure.code.value) == (Status.FAILED, "INCORRECT_ASSERTION")
        assert phases(found) == ["authentication", "tcp", "firstByte", "download"]
        found = await result(tmp_path, url=target.url(), basicAuth=auth | {"password": "Circle of Life"})
        assert (found.status, found.failure) == (Status.PASSED, None)

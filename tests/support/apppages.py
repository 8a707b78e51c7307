"""An app's page without a browser: the token that it has minted, by the session of who reads it."""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.support.apptokens import PageRequest, digest, page_input
from tests.support.visitors import PageVisitor


async def app_request(
    visitor: PageVisitor, app: str, query: str, params: dict[str, Any]
) -> tuple[PageRequest, dict[str, Any]]:
    """What the page sends to ask its runner, with a token that the control plane minted for it; and that token's reply."""
    text = page_input(params)
    token = await _minted(visitor, f"{visitor.url}/v1/apps/{app}/queries/{query}/token", text)
    at, slash, path = token["url"].partition("://")[2].partition("/")
    request = PageRequest(token=token["token"], text=text, path=slash + path)
    request.set("Host", at)
    request.set("Origin", visitor.url)
    return request, token


async def _minted(visitor: PageVisitor, url: str, text: str) -> dict[str, Any]:
    headers = {"Origin": visitor.url, "X-App-Page": "1"}
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        aiohttp.ClientSession(cookies=visitor.cookies, cookie_jar=jar) as session,
        session.post(url, json={"digest": digest(text)}, headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found

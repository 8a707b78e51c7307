"""A visitor of pages without a browser: keeps cookies, and sends forms with the token of the page that was read last."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

HEADERS = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Encoding": "identity"}
_TOKEN = re.compile(r'name="csrf" value="([^"]*)"')


@dataclass(frozen=True)
class ShownPage:
    """*text* is the markup."""

    status: int
    text: str
    headers: CIMultiDictProxy[str]

    @property
    def heading(self) -> str:
        found = re.search(r"<h1>(.*?)</h1>", self.text, re.DOTALL)
        return "" if found is None else html.unescape(found[1])

    @property
    def to(self) -> str:
        """The address that a redirection names."""
        return self.headers.get("Location", "")


@dataclass
class PageVisitor:
    """*headers* go with every request. *token* is that of the last page with a form."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> ShownPage:
        return await self._ask("GET", path, None, headers)

    async def send(self, path: str, fields: Mapping[str, str], **headers: str) -> ShownPage:
        """Send a form of the page that was read last."""
        return await self._ask("POST", path, {"csrf": self.token, **fields}, headers)

    async def follow(self, answer: ShownPage) -> ShownPage:
        assert answer.status == 303, answer
        return await self.get(answer.to)

    async def _ask(self, method: str, path: str, form: Any, headers: Mapping[str, str]) -> ShownPage:
        sent = {**HEADERS, **self.headers, **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        url = URL(self.url + path, encoded=True)
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session,
            session.request(method, url, headers=sent, data=form, allow_redirects=False) as answer,
        ):
            text = (await answer.read()).decode()
            for cookie in answer.cookies.values():
                if cookie["max-age"] == "0":
                    self.cookies.pop(cookie.key, None)
                else:
                    self.cookies[cookie.key] = cookie.value
            if found := _TOKEN.search(text):
                self.token = html.unescape(found[1])
            return ShownPage(answer.status, text, answer.headers)

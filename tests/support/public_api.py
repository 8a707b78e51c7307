"""A caller of the public API with a pair of keys: JSON in, status and JSON out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from yarl import URL


@dataclass(frozen=True)
class Answer:
    """*body* is the JSON of the reply, None where it has none."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def errors(self) -> list[str]:
        """The texts of a refusal, which has nothing else in it."""
        assert list(self.body) == ["errors"], self
        assert self.headers["content-type"].startswith("application/json")
        found: list[str] = self.body["errors"]
        return found


@dataclass(frozen=True)
class PublicAPI:
    """Calls as holder of these keys; None sends none."""

    session: aiohttp.ClientSession
    url: str
    api_key: str | None
    app_key: str | None

    def holding(self, **keys: str | None) -> PublicAPI:
        """The same caller with other keys."""
        return replace(self, **keys)  # type: ignore[arg-type]

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> Answer:
        """*path* goes out as it stands, percent signs too."""
        headers = {"DD-API-KEY": self.api_key, "DD-APPLICATION-KEY": self.app_key}
        sent = {name: value for name, value in headers.items() if value is not None}
        return await self.raw(method, path, sent, json=body, params=query or None)

    async def raw(self, method: str, path: str, headers: dict[str, str], **options: Any) -> Answer:
        url = URL(self.url + path, encoded=True)
        async with self.session.request(method, url, headers=headers, **options) as response:
            text = await response.text()
            found = {name.lower(): value for name, value in response.headers.items()}
            body = await response.json() if text and response.content_type == "application/json" else None
            return Answer(response.status, body, found)

    async def get(self, path: str, **query: Any) -> Any:
        """The body of a success."""
        return self._succeeded(await self.call("GET", path, **query))

    async def post(self, path: str, body: Any) -> Any:
        return self._succeeded(await self.call("POST", path, body))

    async def put(self, path: str, body: Any) -> Any:
        return self._succeeded(await self.call("PUT", path, body))

    @staticmethod
    def _succeeded(answer: Answer) -> Any:
        assert answer.status == 200, answer
        return answer.body

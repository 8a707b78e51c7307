"""Static files under names that hold a hash of their content, so that a browser keeps each for ever. They are read once."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiohttp import web

from controlplane.pages.headers import ASSET

FOLDER = Path(__file__).parent / "static"
PATH = "/static/"
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_DIGITS = 16
"""Of the hash: 64 bits, against chance alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """*hashed* is its name in addresses."""

    hashed: str
    content: bytes
    compressed: bytes
    content_type: str


@cache
def files() -> dict[str, StaticFile]:
    """Every file by the name that templates use."""
    return {path.name: _read(path) for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}


@cache
def _by_hashed_name() -> dict[str, StaticFile]:
    return {file.hashed: file for file in files().values()}


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    digits = hashlib.sha256(content).hexdigest()[:_DIGITS]
    return StaticFile(
        hashed=f"{path.stem}.{digits}{path.suffix}",
        content=content,
        compressed=gzip.compress(content, mtime=0),
        content_type=_TYPES[path.suffix],
    )


def address(name: str) -> str:
    """The path of a file, below the prefix. Raises KeyError for one that is not there: a mistake in a template."""
    return PATH + files()[name].hashed


async def serve(request: web.Request) -> web.Response:
    """Answer with a file, or 404."""
    file = _by_hashed_name().get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    headers = dict(ASSET) | {"Vary": "Accept-Encoding"}
    body = file.content
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body, headers["Content-Encoding"] = file.compressed, "gzip"
    return web.Response(body=body, content_type=file.content_type, charset="utf-8", headers=headers)

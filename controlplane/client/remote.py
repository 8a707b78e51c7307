"""Operations over HTTP, on a control plane at a URL. It follows no redirect, keeps nothing, and tries nothing twice.

What went wrong is told with the URL and the cure. Keys are sent to the URL's own host alone, over TLS or to loopback.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from controlplane import baseurl, causes
from controlplane.errors import RemoteError, UnusableError
from controlplane.operations.operation import Operation, R, S, decode, encode
from worker import __version__
from worker.egress.hosts import is_private_way
from worker.secret import Secret
from worker.text import cut

ANSWER_SECONDS = 120.0
"""For one answer: RSA keys take seconds, a full push of definitions some, and so does waiting for other writers."""
CONNECT_SECONDS = 10.0
MAX_REPLY_BYTES = 64 * 1024 * 1024
"""Four times what an answer lists: JSON within JSON is escaped once more."""
MAX_SHOWN = 300
"""Characters of a foreign reply that an error repeats."""
NO_KEYS = "set DD_API_KEY and DD_APP_KEY (or SYNTHETICS_API_KEY and SYNTHETICS_APP_KEY) to keys that `key create` made"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAddress:
    """*url* has no slash at its end. *ca_file* holds the authorities to trust in place of the system's.

    An application key is enough.
    """

    url: str
    api_key: Secret[str] | None
    app_key: Secret[str] | None
    ca_file: Path | None = None


def address(
    url: str, *, api_key: Secret[str] | None, app_key: Secret[str] | None, ca_file: Path | None = None
) -> RemoteAddress:
    """Check what is known before anything is sent. Raises UnusableError."""
    try:
        base = baseurl.read(url)
    except UnusableError as error:
        raise UnusableError(f"--url {error}") from error
    if not is_private_way(url):
        raise UnusableError(f"--url {url[:200]!r}: keys are sent over https, or to this machine alone")
    if not app_key:
        raise UnusableError(f"--url {url[:200]}: there is no application key: {NO_KEYS}")
    return RemoteAddress(url=base, api_key=api_key, app_key=app_key, ca_file=ca_file)


@asynccontextmanager
async def connected(to: RemoteAddress) -> AsyncIterator[RemoteClient]:
    """A client whose connections end with the block. Raises UnusableError for authorities that cannot be read."""
    secure: Any = True
    if to.ca_file is not None:
        try:
            secure = ssl.create_default_context(cafile=str(to.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise UnusableError(f"--ca-file {to.ca_file}: holds no certificates that can be read: {error}") from error
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
    headers = {"User-Agent": f"synthetics-controlplane/{__version__}", "Accept-Encoding": "identity"}
    connector = aiohttp.TCPConnector(ssl=secure, limit=1)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=headers, auto_decompress=False, trust_env=False
    ) as session:
        yield RemoteClient(to=to, session=session)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteClient:
    """A PlaneClient, for the holder of the keys."""

    to: RemoteAddress
    session: aiohttp.ClientSession

    async def ask(self, operation: Operation[S, R], sent: S) -> R:
        """Raises RemoteError, and whatever the control plane raised."""
        status, data = await self._exchange(operation.path, encode(sent))
        if status != 200:
            raise self._refusal(status, data)
        try:
            found: R = decode(data, operation.reply)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._error(f"the answer is not one of this version's: {cut(str(error), MAX_SHOWN)}") from error
        return found

    async def _exchange(self, path: str, body: bytes) -> tuple[int, bytes]:
        try:
            async with self.session.post(
                self.to.url + path, data=body, headers=self._headers(), allow_redirects=False
            ) as reply:
                return reply.status, await self._read(reply)
        except aiohttp.ClientConnectorCertificateError as error:
            reason = (
                f"its certificate is not accepted: {error.certificate_error}; --ca-file names an internal authority"
            )
            raise self._error(reason) from error
        except aiohttp.ClientConnectorError as error:
            number = error.os_error.errno or 0  # asyncio's own text repeats the address
            reason = os.strerror(number) if number > 0 else error.os_error.strerror or str(error.os_error)
            raise self._error(f"cannot be reached: {reason}") from error
        except TimeoutError as error:
            raise self._error("did not answer in time") from error
        except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError) as error:
            raise self._error(f"ended the exchange: {cut(str(error) or type(error).__name__, MAX_SHOWN)}") from error

    async def _read(self, reply: aiohttp.ClientResponse) -> bytes:
        found = bytearray()
        async for portion in reply.content.iter_chunked(256 * 1024):
            found += portion
            if len(found) > MAX_REPLY_BYTES:
                raise self._error(f"the answer is larger than {MAX_REPLY_BYTES} bytes")
        return bytes(found)

    def _headers(self) -> dict[str, str]:
        keys = {"DD-API-KEY": self.to.api_key, "DD-APPLICATION-KEY": self.to.app_key}
        shown = {name: key.reveal() for name, key in keys.items() if key}
        return shown | {"Content-Type": "application/json"}

    def _refusal(self, status: int, data: bytes) -> Exception:
        """The error that the control plane raised, where it says so; otherwise the meaning of the status."""
        body = _object(data)
        cause = body.get("cause")
        if isinstance(cause, dict) and (error := causes.read(cause)) is not None:
            return error
        texts = body.get("errors")
        said = "; ".join(text for text in texts if isinstance(text, str)) if isinstance(texts, list) else ""
        match status:
            case 400 if said:
                return UnusableError(said)
            case 401 | 403:
                return self._error(f"the keys open nothing here: {NO_KEYS}")
            case 404 | 405:
                return self._error("there is no control plane of this version: see --url")
            case 413:
                return self._error("the question is larger than it takes")
            case 429:
                return self._error("too many wrong keys came from this address: wait a minute")
        shown = f": {cut(said, MAX_SHOWN)}" if said else ""
        return self._error(f"answered with status {status}{shown}")

    def _error(self, reason: str) -> RemoteError:
        return RemoteError(self.to.url, reason)


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}

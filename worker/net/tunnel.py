"""A byte stream to one target through a proxy, the operator's or a test's: HTTP CONNECT (RFC 9110 §9.3.6) or SOCKS5 (RFC 1928,
RFC 1929).

`http://` targets go through CONNECT as well. Sent in absolute form their host would be looked up by the proxy, out of
the policy's sight, and the proxy could answer for the target from a cache or rewrite what is measured.

A proxy's words are untrusted: bounded, and printable when repeated. What is wrong with the proxy itself is TUNNEL and
names it, without credentials; what the proxy says about the target is UnreachableError, after which another address
may be tried.
"""

from __future__ import annotations

import re
import struct
from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from worker.egress.hosts import Address, Name, authority
from worker.egress.proxy import Proxy
from worker.net.attempts import UnreachableError, first_reached
from worker.net.dial import dial
from worker.net.dialogue import Dialogue
from worker.net.dns.resolver import Resolver
from worker.net.failure import DoorError, door_error, of_handshake_error
from worker.net.recorder import Recorder
from worker.net.stream import Stream
from worker.net.tls import SecureStream
from worker.net.trust import TrustStore
from worker.outcome.failure import Failure, FailureCode

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([^\r\n]*))?\r\n")
_MAX_INTERIM = 4
_SHOWN = 80
"""Characters of a proxy's own words that are repeated."""

_ALL_REFUSE_BUT_443 = "; many proxies allow CONNECT to port 443 only"
_CONNECT_MEANINGS = {
    403: (FailureCode.TUNNEL, False, "does not allow it" + _ALL_REFUSE_BUT_443),
    405: (FailureCode.TUNNEL, False, "does not allow CONNECT"),
    407: (FailureCode.TUNNEL, False, "wants other credentials than {owner} holds"),
    502: (FailureCode.TUNNEL, True, "could not reach the target"),
    503: (FailureCode.TUNNEL, True, "could not reach the target"),
    504: (FailureCode.TUNNEL, True, "got no answer from the target"),
}
_SOCKS_MEANINGS = {
    1: (FailureCode.TUNNEL, True, "failed, and does not say why"),
    2: (FailureCode.TUNNEL, False, "does not allow it by its rules"),
    3: (FailureCode.NETUNREACH, True, "has no route to the target's network"),
    4: (FailureCode.HOSTUNREACH, True, "has no route to the target"),
    5: (FailureCode.CONNREFUSED, True, "had its connection refused by the target"),
    6: (FailureCode.HOSTUNREACH, True, "ran out of hops on the way to the target"),
    7: (FailureCode.TUNNEL, False, "does not know CONNECT"),
    8: (FailureCode.TUNNEL, True, "does not speak the address's family"),
}
"""RFC 1928 §6. The second member: whether it is about this one address, so that the next may do better."""


Dial: TypeAlias = Callable[[Recorder], Awaitable[Stream]]
"""Connects to the proxy itself. Raises DoorError."""


def dial_unjudged(proxy: Proxy, resolver: Resolver) -> Dial:
    """The way to the operator's own *proxy*, which the policy does not judge."""

    async def dial_proxy(recorder: Recorder) -> Stream:
        found = await resolver.resolve(proxy.host, recorder) if isinstance(proxy.host, Name) else (proxy.host,)
        return await first_reached(found, proxy.port, lambda address: dial(address, proxy.port, recorder), recorder)

    return dial_proxy


class Tunnels:
    """Opens tunnels through one proxy; keeps no connection. *owner* is what holds its credentials, for messages."""

    def __init__(self, proxy: Proxy, dial_proxy: Dial, *, trust: TrustStore, owner: str = "proxyTestRequests") -> None:
        self.proxy = proxy
        self._dial_proxy = dial_proxy
        self._trust = trust
        self._owner = owner

    async def open(self, target: Address | Name, port: int, recorder: Recorder) -> Stream:
        """A stream that ends at *target*. Raises DoorError."""
        stream = await self._dial(recorder)
        try:
            if self.proxy.scheme == "https":
                stream = await self._secure(stream, recorder)
            dialogue = Dialogue(stream, recorder)
            if self.proxy.scheme == "socks5":
                await self._socks(dialogue, target, port)
            else:
                await self._connect(dialogue, target, port)
            return dialogue.release()
        except BaseException as error:
            stream.close()
            if isinstance(error, OSError):
                raise self._trouble(f"broke off: {error.strerror or error}") from error
            raise

    async def _secure(self, stream: Stream, recorder: Recorder) -> SecureStream:
        try:
            return await self._trust.secure(stream, str(self.proxy.host), verify=self.proxy.verify, recorder=recorder)
        except OSError as error:
            raise self._trouble(of_handshake_error(error, "it").message) from error

    async def _dial(self, recorder: Recorder) -> Stream:
        try:
            return await self._dial_proxy(recorder.detached())
        except DoorError as error:
            if error.failure.code is FailureCode.INTERNAL_ERROR:
                raise
            if error.failure.code is FailureCode.DENIED:
                raise door_error(FailureCode.DENIED, f"the proxy {self.proxy}: {error.failure.message}") from error
            raise self._trouble(f"cannot be reached: {error.failure.message}") from error

    async def _connect(self, dialogue: Dialogue, target: Address | Name, port: int) -> None:
        where = authority(target, port)
        lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
        lines += [f"{name}: {value.reveal()}" for name, value in self.proxy.headers]
        written = {name.lower() for name, _ in self.proxy.headers}
        if self.proxy.username is not None and "proxy-authorization" not in written:
            token = b64encode(f"{self._username()}:{self._password()}".encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {token}")
        dialogue.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        status, reason = await self._final_status(dialogue)
        if status >= 300:
            raise self._refusal(_CONNECT_MEANINGS.get(status), f"{status} {reason}".rstrip())

    async def _final_status(self, dialogue: Dialogue) -> tuple[int, str]:
        for _ in range(_MAX_INTERIM):
            parsed = _STATUS_LINE.match(await dialogue.receive_until(b"\r\n\r\n"))
            if parsed is None:
                break
            status = int(parsed[1])
            if status >= 200:
                return status, _printable(parsed[2] or b"")
        raise self._trouble("does not answer CONNECT in HTTP/1.1")

    async def _socks(self, dialogue: Dialogue, target: Address | Name, port: int) -> None:
        with_password = self.proxy.username is not None
        dialogue.send(b"\5\2\0\2" if with_password else b"\5\1\0")
        version, method = await dialogue.receive_exactly(2)
        if version != 5:
            raise self._trouble("does not answer in SOCKS5")
        if method == 2 and with_password:
            await self._socks_password(dialogue)
        elif method != 0:
            raise self._trouble(f"accepts no way to log in that {self._owner} offers")
        dialogue.send(b"\5\1\0" + _socks_address(target) + struct.pack("!H", port))
        version, reply, _, kind = await dialogue.receive_exactly(4)
        if version != 5:
            raise self._trouble("does not answer in SOCKS5")
        if reply != 0:
            raise self._refusal(_SOCKS_MEANINGS.get(reply), f"SOCKS reply {reply}")
        length = {1: 4, 4: 16}.get(kind) or (await dialogue.receive_exactly(1))[0]
        await dialogue.receive_exactly(length + 2)

    async def _socks_password(self, dialogue: Dialogue) -> None:
        username, password = self._username().encode(), self._password().encode()
        if not 0 < len(username) < 256 or len(password) > 255:
            raise self._trouble("speaks SOCKS5, which takes user names and passwords of up to 255 bytes")
        dialogue.send(b"\1" + bytes((len(username),)) + username + bytes((len(password),)) + password)
        if (await dialogue.receive_exactly(2))[1] != 0:
            raise self._trouble(f"does not accept the user name and password of {self._owner}")

    def _username(self) -> str:
        return self.proxy.username.reveal() if self.proxy.username is not None else ""

    def _password(self) -> str:
        return self.proxy.password.reveal() if self.proxy.password is not None else ""

    def _trouble(self, text: str) -> DoorError:
        return door_error(FailureCode.TUNNEL, f"the proxy {self.proxy} {text}")

    def _refusal(self, meaning: tuple[FailureCode, bool, str] | None, words: str) -> DoorError:
        code, about_target, text = meaning or (FailureCode.TUNNEL, False, "does not open a tunnel")
        kind = UnreachableError if about_target else DoorError
        return kind(Failure(code, f"the proxy {self.proxy} {text.format(owner=self._owner)} ({words})"))


def _socks_address(target: Address | Name) -> bytes:
    if isinstance(target, Name):
        return b"\3" + bytes((len(target.text),)) + target.text.encode()
    return (b"\1" if target.version == 4 else b"\4") + target.packed


def _printable(words: bytes) -> str:
    text = words[:_SHOWN].decode("ascii", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)

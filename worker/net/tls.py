"""TLS over any stream, a tunnel included: Python's `ssl` keeps the protocol, the stream the bytes.

Each flight of the handshake is read when the loop gets round to it; what passed since its arrival is not charged to the peer.
"""

from __future__ import annotations

import ssl

from worker.net.aside import Aside
from worker.net.failure import door_error
from worker.net.recorder import Recorder
from worker.net.server_flight import ServerFlight
from worker.net.stream import READ, Stream
from worker.outcome.failure import FailureCode
from worker.text import printable

_MOST_AT_ONCE = 16_640
"""Bytes that are decrypted in one go: a record of the greatest size (RFC 8446 §5.2). One call reads all records that hold no
data (key updates), and each costs much more than its few bytes."""

_MOST_REPLIES = 1 << 20
"""Bytes of the protocol's own that reading may make us send: a peer that asks for key updates without end, and reads none, would
fill memory.
"""

_SHOWN = 80
"""Characters of a server's name that a message repeats."""


class SecureStream:
    """The client's side of TLS, once `shake_hands` has returned. Raises DoorError for a *server_name* that is none.

    *costly*: the handshake computes with a key that a test chose.
    """

    __slots__ = ("_broken", "_flight", "_incoming", "_outgoing", "_put_back", "_replied", "_stream", "session")

    def __init__(self, stream: Stream, context: ssl.SSLContext, server_name: str, *, costly: bool = False) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._put_back = b""
        self._replied = 0
        self._broken: ssl.SSLError | None = None
        self._flight = ServerFlight()
        self._flight.costly = costly
        self.session = self._session(context, server_name)

    def _session(self, context: ssl.SSLContext, server_name: str) -> ssl.SSLObject:
        """Raises DoorError for what cannot be the name of a server: Python's `ssl` refuses it in several ways."""
        try:
            return context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        except (ValueError, ssl.SSLError) as error:
            reason = f"{printable(server_name, _SHOWN)!r} is not a valid name of a server for a TLS handshake"
            raise door_error(FailureCode.INVALID_REQUEST, reason) from error

    @property
    def arrived(self) -> int | None:
        return self._stream.arrived

    @property
    def unsent(self) -> int:
        return self._stream.unsent

    @property
    def application_protocol(self) -> str | None:
        """The protocol that the server chose of those offered (ALPN); None where it chose none."""
        return self.session.selected_alpn_protocol()

    async def shake_hands(self, recorder: Recorder, aside: Aside) -> None:
        """Raises OSError, ssl.SSLError among them. The caller closes the stream then.

        Ordinary arithmetic takes a millisecond, in place; what a server chose to make larger runs *aside*.
        """
        while True:
            try:
                if self._flight.costly:
                    await aside.run(self.session.do_handshake, recorder)
                else:
                    self.session.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._flight.feed(await self._feed())
                recorder.exclude(self.arrived)
            except ssl.SSLError:
                self._flush()  # the peer may want to know why
                raise
            else:
                self._flush()
                return

    async def receive(self, at_most: int = READ) -> bytes:
        if self._put_back:
            data, self._put_back = self._put_back[:at_most], self._put_back[at_most:]
            return data
        while True:
            try:
                data = self.session.read(at_most)
            except ssl.SSLWantReadError:
                self._replied += self._flush()
                if self._replied > _MOST_REPLIES:
                    raise ConnectionAbortedError("the peer keeps TLS busy with itself") from None
                await self._feed()
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                return self._end()
            else:
                return data or self._end()

    def _end(self) -> bytes:
        """The end of what is received, with or without a TLS goodbye, which many servers leave out."""
        if self._broken is not None:
            raise self._broken
        return b""

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self.session.write(rest) :]  # a record at a time
        except ssl.SSLError as error:
            self._broken = error
        self._flush()

    def put_back(self, data: bytes) -> None:
        self._put_back = data + self._put_back

    def close(self) -> None:
        """Close without a goodbye: nobody is to be waited for."""
        self._stream.close()

    async def _feed(self) -> bytes:
        data = await self._stream.receive(_MOST_AT_ONCE)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return data

    def _flush(self) -> int:
        data = self._outgoing.read()
        if data:
            self._stream.write(data)
        return len(data)

"""The server's part of a TLS handshake, read from its records before OpenSSL sees them: is its arithmetic of an ordinary size?

A server chooses what its client computes. TLS up to 1.2 shows all of it: the certificates, and the group of a ServerKeyExchange
(RFC 5246 §7.4). TLS 1.3 shows the group (RFC 8446 §4.2.8) and hides the certificates, of which only the size can be seen.
Nothing is verified here, and what cannot be read is left to OpenSSL to refuse: wrong answers cost time and no safety.
"""

from __future__ import annotations

from typing import Final

MAX_GROUP_BITS: Final = 2048
"""Of a finite-field group, to be computed with in place: 2 ms where it is a known one, 7 with exponents of full length."""
MAX_CERTIFICATES: Final = 20
MAX_KEY_BYTES: Final = 1100
"""Of a SubjectPublicKeyInfo: an RSA key of 8,192 bits, with some room for its exponent."""
MAX_HIDDEN_BYTES: Final = 16_384
"""Of a flight that is encrypted: six certificates with keys of 4,096 bits take half of it."""

_HEADER: Final = 5
"""Bytes before each record: type, version, length."""
_CHANGE_CIPHER_SPEC, _HANDSHAKE = 20, 22
_SERVER_HELLO, _CERTIFICATE, _SERVER_KEY_EXCHANGE, _SERVER_HELLO_DONE = 2, 11, 12, 14
_KEY_SHARE: Final = 51
_GROUP_BITS: Final = {0x0101: 3072, 0x0102: 4096, 0x0103: 6144, 0x0104: 8192}
"""Finite-field groups (RFC 7919 §2) above the smallest."""
_RETRY: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random value of a HelloRetryRequest (RFC 8446 §4.1.3): a ServerHello follows."""


class ServerFlight:
    """Fed with all that comes from the server until the handshake is over."""

    __slots__ = ("_hidden", "_messages", "_plain", "_records", "costly")

    def __init__(self) -> None:
        self._records = bytearray()
        self._messages = bytearray()
        self._plain = True
        self._hidden = 0
        self.costly = False
        """True from the moment at which the server asked for more than is computed in place."""

    def feed(self, data: bytes) -> None:
        """Look at *data*, which comes next."""
        if self.costly:
            return
        if not self._plain:
            self._hide(len(data))
            return
        self._records += data
        while self._plain and (record := self._next_record()) is not None:
            kind, content = record
            if kind == _HANDSHAKE:
                self._messages += content
                self._read_messages()
            elif kind != _CHANGE_CIPHER_SPEC:
                self._plain = False  # an alert, or no TLS at all
        if not self._plain:
            self._hide(len(self._records))
            self._records.clear()

    def _hide(self, size: int) -> None:
        self._hidden += size
        self.costly = self.costly or self._hidden > MAX_HIDDEN_BYTES

    def _next_record(self) -> tuple[int, bytes] | None:
        records = self._records
        if len(records) < _HEADER:
            return None
        end = _HEADER + int.from_bytes(records[3:_HEADER], "big")
        if len(records) < end:
            return None
        content = bytes(records[_HEADER:end])
        kind = records[0]
        del records[:end]
        return kind, content

    def _read_messages(self) -> None:
        messages = self._messages
        while self._plain and len(messages) >= 4 and len(messages) >= (end := 4 + int.from_bytes(messages[1:4], "big")):
            kind, content = messages[0], bytes(messages[4:end])
            del messages[:end]
            if kind == _SERVER_HELLO:
                group = _group(content)
                self.costly = self.costly or _GROUP_BITS.get(group or 0, 0) > MAX_GROUP_BITS
                self._plain = group is None or content[2:34] == _RETRY
            elif kind == _CERTIFICATE:
                self.costly = self.costly or _has_costly_certificates(content)
            elif kind == _SERVER_KEY_EXCHANGE:
                self.costly = self.costly or _has_large_group(content)
            elif kind == _SERVER_HELLO_DONE:
                self._plain = False
        # A message may be larger than what OpenSSL takes; it ends the handshake, but not before all of it is in memory.
        self.costly = self.costly or len(messages) > MAX_HIDDEN_BYTES


def _group(hello: bytes) -> int | None:
    """The group of a ServerHello's key share; None where there is none, as before TLS 1.3."""
    at = 35 + hello[34] + 3 if len(hello) > 34 else len(hello)  # version, random, session id; cipher suite, compression
    at += 2
    while at + 4 <= len(hello):
        kind, size = int.from_bytes(hello[at : at + 2], "big"), int.from_bytes(hello[at + 2 : at + 4], "big")
        if kind == _KEY_SHARE:
            return int.from_bytes(hello[at + 4 : at + 6], "big")
        at += 4 + size
    return None


def _has_large_group(key_exchange: bytes) -> bool:
    """True for Diffie-Hellman in a large group. An elliptic curve begins with its kind (3): as a length, more than there is."""
    size = int.from_bytes(key_exchange[:2], "big")
    return size * 8 > MAX_GROUP_BITS and size + 2 <= len(key_exchange)


def _has_costly_certificates(message: bytes) -> bool:
    count, at = 0, 3
    while at + 3 <= len(message):
        end = at + 3 + int.from_bytes(message[at : at + 3], "big")
        count += 1
        if count > MAX_CERTIFICATES or _key_size(message[at + 3 : end]) > MAX_KEY_BYTES:
            return True
        at = end
    return False


def _key_size(certificate: bytes) -> int:
    """Bytes of the SubjectPublicKeyInfo of an X.509 certificate in DER (RFC 5280 §4.1); 0 where it cannot be found."""
    at, _ = _enter(certificate, 0)
    at, end = _enter(certificate, at)
    if certificate[at : at + 1] == b"\xa0":  # the version, absent in the first one
        at = _after(certificate, at)
    for _ in range(5):  # serial number, signature, issuer, validity, subject
        at = _after(certificate, at)
    return max(0, _after(certificate, at) - at) if at < end else 0


def _enter(der: bytes, at: int) -> tuple[int, int]:
    """The bounds of the content of the element at *at*."""
    first = der[at + 1] if at + 1 < len(der) else 0
    if first < 0x80:
        return at + 2, at + 2 + first
    begin = at + 2 + (first & 0x7F)
    return begin, begin + int.from_bytes(der[at + 2 : begin], "big")


def _after(der: bytes, at: int) -> int:
    return _enter(der, at)[1]

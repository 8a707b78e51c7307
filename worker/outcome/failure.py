"""The reason why a run failed: one of the reference system's codes, and a sentence. A failure is a value; nothing raises it."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class FailureCode(Enum):
    """The reference system's list; each value is what the result carries."""

    AUTHENTICATION_ERROR = "AUTHENTICATION_ERROR"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    CONNREFUSED = "CONNREFUSED"
    CONNRESET = "CONNRESET"
    DECRYPTION = "DECRYPTION"
    DENIED = "DENIED"
    DNS = "DNS"
    HEADERS_INCOMPATIBLE_CONTENT_LENGTH = "HEADERS_INCOMPATIBLE_CONTENT_LENGTH"
    HEADER_TOO_LARGE = "HEADER_TOO_LARGE"
    HOSTUNREACH = "HOSTUNREACH"
    INCORRECT_ASSERTION = "INCORRECT_ASSERTION"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    INVALID_CHAR_IN_HEADER = "INVALID_CHAR_IN_HEADER"
    INVALID_REQUEST = "INVALID_REQUEST"
    INVALID_TEST = "INVALID_TEST"
    MALFORMED_RESPONSE = "MALFORMED_RESPONSE"
    NETUNREACH = "NETUNREACH"
    OCSP = "OCSP"
    REQUIRES_UPDATE = "REQUIRES_UPDATE"
    SSL = "SSL"
    TIMEOUT = "TIMEOUT"
    TOO_MANY_REDIRECTS = "TOO_MANY_REDIRECTS"
    TUNNEL = "TUNNEL"
    UNESCAPED_CHARACTERS_IN_REQUEST_PATH = "UNESCAPED_CHARACTERS_IN_REQUEST_PATH"
    UNKNOWN = "UNKNOWN"
    WEBSOCKET = "WEBSOCKET"


class Failure(Struct, frozen=True):
    """*message* is for people and names no internal address that the policy refused."""

    code: FailureCode
    message: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.code.value, "message": self.message}

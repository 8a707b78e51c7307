"""AWS Signature Version 4 with its names taken out: canonical request, string to sign, key derivation, signature.

The names are one frozen value, `Scheme`: `PL1` is this protocol's own; Amazon's are put in where a test signs what it
sends, and by the tests, which compare with Amazon's own client and published suite: this is how we know that the rules
below are Signature Version 4 and not something like it. Pure text and HMAC: which headers are signed, and what is done
with a signature, is decided by those who sign.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

from msgspec import Struct

from worker.secret import Secret

_SPACES = re.compile(r"[ \t]+")
_UNRESERVED = "-._~"


class Scheme(Struct, frozen=True, kw_only=True):
    """The names in which one Signature Version 4 differs from another."""

    algorithm: str
    key_prefix: str
    service: str
    terminator: str
    header_prefix: str

    @property
    def date_header(self) -> str:
        return f"{self.header_prefix}Date"

    @property
    def content_header(self) -> str:
        return f"{self.header_prefix}Content-SHA256"


PL1 = Scheme(
    algorithm="PL1-HMAC-SHA256", key_prefix="PL1", service="synthetics", terminator="pl1_request", header_prefix="X-PL-"
)


class Scope(Struct, frozen=True, kw_only=True):
    """The scope of a derived key: one day (yyyymmdd, UTC) and one region (for us: a location id)."""

    day: str
    region: str

    def text(self, scheme: Scheme) -> str:
        return f"{self.day}/{self.region}/{scheme.service}/{scheme.terminator}"


def timestamp(moment: datetime) -> str:
    """`yyyymmddThhmmssZ`. *moment* must be aware."""
    utc = moment.astimezone(UTC)  # and not strftime: its %Y has fewer digits before the year 1000, and it takes long
    return f"{utc.year:04d}{utc.month:02d}{utc.day:02d}T{utc.hour:02d}{utc.minute:02d}{utc.second:02d}Z"


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=64)
def canonical_path(path: str) -> str:
    """Dot segments and doubled slashes removed, then every byte but unreserved characters and slashes percent-encoded.

    A path that is already percent-encoded is thereby encoded twice, as the specification wants it (of all but S3).
    """
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    joined = "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")
    return quote_from_bytes(joined.encode(), safe="/" + _UNRESERVED)


def canonical_query(query: str) -> str:
    """Names and values decoded, encoded anew in one spelling, and sorted by encoded name, then by encoded value.

    A plus sign is a plus sign: forms that mean a space by it must say %20.
    """
    if not query:
        return ""
    pairs = (pair.partition("=") for pair in query.split("&"))
    encoded = sorted((_encoded_once(name), _encoded_once(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _encoded_once(text: str) -> str:
    return quote_from_bytes(unquote_to_bytes(text), safe=_UNRESERVED)


def canonical_headers(headers: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """The block of signed headers (each line ended) and the list of their names.

    Names are lower-cased and sorted, values trimmed and their runs of blanks made one space; values of a repeated name
    are joined with commas in the order in which they came.
    """
    values: dict[str, str] = {}
    for given, value in headers:
        name, trimmed = given.lower().strip(), _trimmed(value)
        values[name] = f"{values[name]},{trimmed}" if name in values else trimmed
    names = sorted(values)
    return "".join([f"{name}:{values[name]}\n" for name in names]), ";".join(names)


def _trimmed(value: str) -> str:
    return _SPACES.sub(" ", value).strip(" ") if " " in value or "\t" in value else value


def canonical_request(method: str, target: str, headers: Iterable[tuple[str, str]], body_sha256: str) -> str:
    """*target* is path and query as on the request line; *headers* are exactly those that are signed."""
    path, mark, query = target.partition("?")
    return canonical_request_as_is(method, canonical_path(path) + mark + query, headers, body_sha256)


def canonical_request_as_is(method: str, target: str, headers: Iterable[tuple[str, str]], body_sha256: str) -> str:
    """The same for a path that is signed as it was sent, as the specification wants it of S3 alone."""
    path, _, query = target.partition("?")
    block, names = canonical_headers(headers)
    return "\n".join((method, path, canonical_query(query), block, names, body_sha256))


def string_to_sign(scheme: Scheme, scope: Scope, moment: str, canonical: str) -> str:
    """*moment* is the text of the date header."""
    return "\n".join((scheme.algorithm, moment, scope.text(scheme), sha256_hex(canonical.encode())))


def signing_key(scheme: Scheme, scope: Scope, secret: Secret[str]) -> Secret[bytes]:
    key = (scheme.key_prefix + secret.reveal()).encode()
    for part in (scope.day, scope.region, scheme.service, scheme.terminator):
        key = hmac.digest(key, part.encode(), "sha256")
    return Secret(key)


def signature(key: Secret[bytes], text: str) -> str:
    """64 lower-case hexadecimal digits."""
    return hmac.digest(key.reveal(), text.encode(), "sha256").hex()

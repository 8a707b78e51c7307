"""One reader for each kind of value: from what was written to the value that is used (number, network, glob, key, secret, proxy).

A Mistake says what is wrong and what would be right; the text of a confidential value is in no message. Reads no source and
knows no precedence; looks at the file system only where the value is a path that must be usable.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable
from ipaddress import IPv6Network
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from worker.config.files import MAX_FILE_BYTES, read_bytes
from worker.config.mistake import Mistake
from worker.config.option import Option, ValueKind, Written
from worker.egress.address_table import Network
from worker.egress.hosts import parse_address, parse_host
from worker.egress.nameserver import DNS_PORT, Nameserver
from worker.egress.proxy import Proxy, without_login
from worker.egress.rules import Glob, parse_glob, parse_nat64_prefix, parse_range
from worker.errors import HostError, PolicyError, WireError
from worker.net.http.fields import BAD_VALUE, OWS, TOKEN
from worker.secret import Secret
from worker.text import quoted
from worker.wire.keys import PrivateKey, PublicKey

T = TypeVar("T")

_NOT_OURS = frozenset(
    {"host", "connection", "content-length", "content-type", "transfer-encoding", "authorization", "cookie"}
    | {"proxy-authorization", "accept-encoding", "user-agent"}
)
"""Fields that say something else than who asks, or have an option of their own."""


def meaning(option: Option, written: Written) -> object:
    """Read a value: numbers within bounds, durations in seconds, ranges as networks, secrets wrapped. Raises Mistake."""
    if option.many:
        assert isinstance(written, tuple)
        return tuple(_meaning_of_one(option, item) for item in written)
    return _meaning_of_one(option, written)


def _meaning_of_one(option: Option, written: Written) -> object:
    if option.kind is ValueKind.BOOLEAN:
        return written
    if isinstance(written, int):
        return _number(option, written)
    assert isinstance(written, str)
    match option.kind:
        case ValueKind.CHOICE:
            return _choice(option, written)
        case ValueKind.PROXY:
            return _proxy(option, written)
    return _TEXTS[option.kind](written)


def _number(option: Option, number: int) -> int | float:
    if not option.minimum <= number <= option.maximum:
        raise Mistake(f"must be between {option.minimum} and {option.maximum}, not {number}")
    match option.kind:
        case ValueKind.MILLISECONDS:
            return number / 1000
        case ValueKind.SECONDS:
            return float(number)
    return number


def _choice(option: Option, text: str) -> str:
    if text not in option.choices:
        raise Mistake(f"must be {' or '.join(option.choices)}, not {quoted(text)}")
    return text


def _text(text: str) -> str:
    if not text:
        raise Mistake("is empty")
    return text


def _header_value(text: str) -> str:
    value = text.strip(OWS)
    if not value or BAD_VALUE.search(value):
        raise Mistake("must be one line of characters that a header can carry, and not empty")
    return value


def _header(text: str) -> tuple[str, str]:
    """Read `Name: value`."""
    name, colon, value = text.partition(":")
    if not colon or TOKEN.fullmatch(name) is None:
        raise Mistake(f"must be like X-Name: value, not {quoted(text)}")
    if name.lower() in _NOT_OURS:
        raise Mistake(f"must not set {name}, which says something else than who asks")
    return name, _header_value(value)


def _identifier(text: str) -> str:
    """Read a name that travels inside signed headers and their scope, where a slash or a blank would mean something."""
    if not re.fullmatch(r"[A-Za-z0-9:._$=+-]{1,200}", text):
        raise Mistake(f"must be 1 to 200 letters, digits or one of : . _ - $ = +, not {quoted(text)}")
    return text


def _secret(text: str) -> Secret[str]:
    if not text or not text.isprintable() or " " in text:
        raise Mistake("must be one line without blanks, and not empty")
    return Secret(text)


def _private_key(pem: str) -> PrivateKey:
    try:
        return PrivateKey.from_pem(pem)
    except WireError as error:
        raise Mistake(f"is not a usable private key: {error}") from None


def _public_key(pem: str) -> PublicKey:
    try:
        return PublicKey.from_pem(pem)
    except WireError as error:
        raise Mistake(f"is not a usable public key: {error}") from None


def _host(text: str) -> str:
    """Read a host name or address, with or without a port; not a URL."""
    found = re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?", text, re.ASCII)
    if not found or not _is_host(found[1]) or not (found[2] is None or 0 < int(found[2]) < 65_536):
        raise Mistake(f"must be a host name, not {quoted(text)}")
    return text


def _is_host(text: str) -> bool:
    try:
        parse_host(text)
    except HostError:
        return False
    return True


def _split_url(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """Take a URL of one of *schemes* apart, with a host and nothing behind it but a path. Its text is not repeated."""
    form = f"like {schemes[0]}://HOST:PORT"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Mistake(f"must be {form}: its host or port is malformed") from None
    if parts.scheme not in schemes:
        raise Mistake(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if not _is_host(parts.hostname or "") or port == 0 or not text.isprintable() or " " in text:
        raise Mistake(f"must be {form}: its host or port is malformed")
    if parts.query or parts.fragment:
        raise Mistake(f"must be {form}: it has a query or a fragment")
    return parts


def _url(text: str) -> str:
    parts = _split_url(text, ("https", "http"))
    if "@" in parts.netloc:
        raise Mistake("must not hold a user name or password: accessKey and secretAccessKey say who the worker is")
    return text.rstrip("/")


def _proxy(option: Option, text: str) -> Proxy:
    if text.startswith("pac+"):
        raise Mistake("proxy auto-configuration (pac+…) is not supported: name the proxy itself")
    if not text.isprintable() or " " in text:
        raise Mistake("must be one line without blanks: write a blank in a password as %20")
    parts = _split_url(without_login(text)[0], option.choices)
    if parts.path not in ("", "/"):
        raise Mistake("must not have a path")
    return Proxy.parse(Secret(text))


def _address(text: str) -> str:
    try:
        return str(parse_address(text))
    except HostError:
        raise Mistake(f"must be an IP address, not {quoted(text)}") from None


def _nameserver(text: str) -> Nameserver:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d{1,5}))?", text, re.ASCII)
    plain = re.fullmatch(r"([0-9.]+):(\d{1,5})", text, re.ASCII)
    found = bracketed or plain
    address, port = (found[1], int(found[2] or DNS_PORT)) if found else (text, DNS_PORT)
    wrong = Mistake(f"must be ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, not {quoted(text)}")
    try:
        server = Nameserver(parse_address(address), port)
    except HostError:
        raise wrong from None
    if not 0 < port < 65_536 or (bracketed and server.address.version == 4):
        raise wrong
    return server


def _range(text: str, version: int) -> Network:
    network = _rule(parse_range, text)
    if network.version != version:
        raise Mistake(f"{quoted(text)} is an IPv{network.version} range: it belongs under .{network.version}")
    return network


def _range_4(text: str) -> Network:
    return _range(text, 4)


def _range_6(text: str) -> Network:
    return _range(text, 6)


def _nat64_prefix(text: str) -> IPv6Network:
    return _rule(parse_nat64_prefix, text)


def _domain(text: str) -> Glob:
    return _rule(parse_glob, text)


def _rule(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except PolicyError as error:
        raise Mistake(f"{quoted(text)}: {error.reason}") from None


def certificates(text: str) -> Path:
    """Read as the trust store will read it, so that what is accepted here is believed there. Comments may be in any encoding."""
    read_bytes(text, called=quoted(text), at_most=MAX_FILE_BYTES)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=text)
    except ssl.SSLError:
        raise Mistake(f"{quoted(text)} holds no PEM certificate, or a malformed one") from None
    return Path(text)


def _directory(text: str) -> Path | None:
    if not text:
        return None
    path = Path(text)
    nearest = _directory_at(path if _exists(path) else path.parent)
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise Mistake(f"{quoted(str(nearest))} cannot be written by user {os.geteuid()}")
    return path


def _path(text: str) -> Path | None:
    if not text:
        return None
    _directory_at(Path(text).parent)
    return Path(text)


def _directory_at(path: Path) -> Path:
    if _exists(path) and path.is_dir():
        return path
    raise Mistake(f"{quoted(str(path))} {'is not a directory' if _exists(path) else 'does not exist'}")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise Mistake(f"{quoted(str(path))} cannot be used: {error.strerror}") from None


_TEXTS: dict[ValueKind, Callable[[str], object]] = {
    ValueKind.ADDRESS: _address,
    ValueKind.CERTIFICATES: certificates,
    ValueKind.DIRECTORY: _directory,
    ValueKind.DOMAIN: _domain,
    ValueKind.FILE: _text,
    ValueKind.HEADER: _header,
    ValueKind.HEADER_VALUE: _header_value,
    ValueKind.HOST: _host,
    ValueKind.IDENTIFIER: _identifier,
    ValueKind.NAT64_PREFIX: _nat64_prefix,
    ValueKind.PATH: _path,
    ValueKind.PRIVATE_KEY: _private_key,
    ValueKind.PUBLIC_KEY: _public_key,
    ValueKind.RANGE_4: _range_4,
    ValueKind.RANGE_6: _range_6,
    ValueKind.NAMESERVER: _nameserver,
    ValueKind.SECRET: _secret,
    ValueKind.TEXT: _text,
    ValueKind.URL: _url,
}

"""Redaction: every secret that was read for an order is taken out of what leaves, in each spelling that a service may echo it in.

A secret is looked for as it is, in base64 at each of three offsets, percent-encoded, escaped as in JSON, and in hexadecimal. A
service can transform what no list of spellings finds: that is said in SECURITY.md. Short secrets would blot out ordinary
words and are left alone; whoever reads them warns.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

from worker.secret import Secret

LEAST: Final = 6
"""Characters from which on a secret is taken out."""

LEAST_PART: Final = 4
"""Characters of a secret's beginning that are taken out where a text was cut within it: fewer tell nothing."""
LEAST_LINE: Final = 16
"""Characters from which on a line of a secret is one by itself."""
CUT: Final = "…"
"""The mark of a text that was cut (`text.cut`)."""


class SecretRemover:
    """Takes *secrets*, by their labels, out of JSON values. `count` is the number of places so far."""

    def __init__(self, secrets: Mapping[str, Secret[str]]) -> None:
        self.count = 0
        self._labels: dict[str, str] = {}
        for label, secret in secrets.items():
            if len(secret.reveal()) >= LEAST:
                for part in _parts(secret.reveal()):
                    self._labels |= dict.fromkeys(_spellings(part), f"‹{label}›")
        longest_first = sorted(self._labels, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        if self._pattern is None:
            return text
        cleaned, count = self._pattern.subn(lambda match: self._labels[match[0]], text)
        self.count += count
        return self._without_beginning(cleaned) if cleaned.endswith(CUT) else cleaned

    def _without_beginning(self, text: str) -> str:
        """*text*, which was cut, without the beginning of a secret that its cut went through."""
        end = len(text) - len(CUT)
        for spelled, label in self._labels.items():
            start = text.find(spelled[:LEAST_PART], max(0, end - len(spelled) + 1))
            while 0 <= start <= end - LEAST_PART:
                if spelled.startswith(text[start:end]):
                    self.count += 1
                    return f"{text[:start]}{label}{CUT}"
                start = text.find(spelled[:LEAST_PART], start + 1)
        return text

    def value(self, value: Any) -> Any:
        """*value* with its texts, names of members and numbers cleaned."""
        if self._pattern is None:
            return value
        match value:
            case str():
                return self.text(value)
            case bool() | None:
                return value
            case int() | float():
                cleaned = self.text(str(value))
                return value if cleaned == str(value) else cleaned
            case list() | tuple():
                return [self.value(member) for member in value]
            case dict():
                return {self.text(str(name)): self.value(member) for name, member in value.items()}
            case _:
                return self.text(str(value))


def too_short(secrets: Mapping[str, Secret[str]]) -> list[str]:
    """The labels of those that are left alone."""
    return [label for label, secret in secrets.items() if len(secret.reveal()) < LEAST]


def _parts(secret: str) -> Iterator[str]:
    """A secret, and the lines of one that has several (a private key), whatever they are joined by."""
    yield secret
    if "\n" in secret:
        yield from (line for line in secret.splitlines() if len(line) >= LEAST_LINE and not line.startswith("-----"))


def _spellings(secret: str) -> Iterator[str]:
    octets = secret.encode(errors="surrogateescape")
    yield secret
    yield from _base64(octets)
    for encoded in {quote(secret, safe=""), quote(secret), quote_plus(secret)}:
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
    for escaped in {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}:
        yield escaped
        yield escaped.replace("/", "\\/")
    yield octets.hex()
    yield octets.hex().upper()


def _base64(octets: bytes) -> Iterator[str]:
    """The characters that depend on *octets* alone, for each place at which they may stand in a longer text."""
    for before in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            encoded = encode(b"\0" * before + octets).decode().rstrip("=")
            first = (before * 8 + 5) // 6
            last = (before + len(octets)) * 8 // 6
            yield encoded[first:last]

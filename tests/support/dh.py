"""Diffie-Hellman groups of any size for test servers: primes that everyone knows, or a number that is none."""

from __future__ import annotations

from base64 import encodebytes
from pathlib import Path

MERSENNE = (2203, 4253, 9941)
"""Exponents of Mersenne primes, which need not be searched for."""


def write_group(path: Path, bits: int) -> Path:
    """DH parameters in PEM (PKCS #3) with the prime 2**bits - 1 and the generator 3."""
    parameters = _element(0x30, _integer(2**bits - 1) + _integer(3))
    body = encodebytes(parameters).decode()
    path.write_text(f"-----BEGIN DH PARAMETERS-----\n{body}-----END DH PARAMETERS-----\n")
    return path


def _integer(number: int) -> bytes:
    return _element(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content

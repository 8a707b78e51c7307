"""A value that does not print itself. It is not a str on purpose: a str subclass still leaks through json.dumps and "".join."""

from __future__ import annotations

import hmac
from typing import Generic, TypeVar

REDACTED = "<redacted>"
"""The text that stands for a value which nobody is to see."""
T = TypeVar("T", str, bytes)


class Secret(Generic[T]):
    """Wraps a text or bytes; `reveal()` is the only way out, so each use of the value can be found by name."""

    __slots__ = ("_value",)

    _value: T

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        return self._value

    def __eq__(self, other: object) -> bool:
        """Constant-time for equal lengths and kinds."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._value), _bytes(other._value))

    __hash__ = None  # type: ignore[assignment]  # a secret is not a dictionary key

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not serialised")


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value

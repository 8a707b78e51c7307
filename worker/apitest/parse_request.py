"""Members of `config.request` that protocols share.

What a well-formed definition asks for and this version cannot do is noted as missing, never left out in silence. A URL or a host
that leads nowhere is not found out here: the prober reports that as a failed run.
"""

from __future__ import annotations

from worker.apitest.reading import Node, quote
from worker.apitest.request import DEFAULT_TIMEOUT
from worker.apitest.template import first_template


def read_timeout(node: Node) -> float:
    """Seconds; 0 stands for the default, as it does for a limit that was never set."""
    seconds = node.number()
    if seconds is not None and seconds < 0:
        node.mistake("must not be negative")
        return DEFAULT_TIMEOUT
    return float(seconds) if seconds else DEFAULT_TIMEOUT


def read_port(node: Node, default: int) -> int:
    """A number or its text; a template is text too and ends the reading without a mistake."""
    if not isinstance(node.value, str):
        return node.whole(1, 65535) or default
    text = node.text()
    if not text or first_template(text) is not None:
        return default
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 1 <= int(digits) <= 65535):
        node.mistake(f"must be a port from 1 to 65535, not {quote(text)}")
        return default
    return int(digits)


def read_switch(option: Node, member: Node) -> bool:
    """A single test says it in its options, a step in its request; where both are there, the options decide."""
    said, stepwise = option.flag(), member.flag()
    return bool(stepwise if said is None else said)


def read_pairs(node: Node) -> tuple[tuple[str, str], ...]:
    """Read an object of texts: headers, the fields of a form."""
    pairs = ((name, member.texts()) for name, member in node.members())
    return tuple((name, value) for name, value in pairs if value is not None)

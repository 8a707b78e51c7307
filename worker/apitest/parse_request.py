"""Members of `config.request` that protocols share.

What a well-formed definition asks for and this version cannot do is noted as missing, never left out in silence. A URL or a host
that leads nowhere is not found out here: the prober reports that as a failed run.
"""

from __future__ import annotations

from worker.apitest.reading import Node, quote
from worker.apitest.request import DEFAULT_TIMEOUT, ClientCertificate
from worker.secret import Secret


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
    if not text or node.holds_template(text):
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


MAX_PEM = 32 * 1024
"""Characters of a client certificate or of its key: a chain of ten, or a key of 16,384 bits twice over."""


def read_client_certificate(request: Node) -> ClientCertificate | None:
    """`certificate` and `certificateDomains`. Exports leave both contents out; then the run shows no certificate."""
    node = request["certificate"].object()
    chain, key = node["cert"].object()["content"], node["key"].object()["content"]
    domains = tuple(filter(None, (item.text() for item in request["certificateDomains"].items())))
    if not chain.value and not key.value:
        if node.present and node.value:
            node.ignores("without its contents, which exports leave out: no client certificate is shown")
        return None
    texts = _pem(chain), _pem(key)
    return ClientCertificate(chain=texts[0], key=Secret(texts[1]), domains=domains)


def _pem(node: Node) -> str:
    text = node.text(required=True) or ""
    if len(text) > MAX_PEM:
        node.mistake(f"must have at most {MAX_PEM} characters, not {len(text)}")
    return text

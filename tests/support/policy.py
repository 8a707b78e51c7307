"""An egress policy from rules as an operator writes them."""

from __future__ import annotations

from collections.abc import Iterable

from worker.egress.policy import Policy
from worker.egress.rules import parse_glob, parse_nat64_prefix, parse_range


def policy_of(
    *,
    allow: Iterable[str] = (),
    deny: Iterable[str] = (),
    allow_names: Iterable[str] = (),
    deny_names: Iterable[str] = (),
    block_special_purpose: bool = True,
    nat64_prefixes: Iterable[str] = (),
) -> Policy:
    """Read and build; PolicyError for a rule that cannot be read."""
    return Policy.build(
        allow=map(parse_range, allow),
        deny=map(parse_range, deny),
        allow_names=map(parse_glob, allow_names),
        deny_names=map(parse_glob, deny_names),
        block_special_purpose=block_special_purpose,
        nat64_prefixes=map(parse_nat64_prefix, nat64_prefixes),
    )

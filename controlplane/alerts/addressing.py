"""An address, a handle without its @, and the channel that it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controlplane.alerts.channels.mail import is_address
from controlplane.alerts.channels.table import KINDS

EMAIL: Final = "email"


def channel_of(address: str, known: Mapping[str, str]) -> str | None:
    """The name of the channel that *address* means, of those *known* by name with their kinds; None where it means none.

    An address is a channel's name; or `slack-NAME`, with its kind before it; or the kind alone, where there is one of that kind;
    or an e-mail address, which the channel `email` sends to, or the only one of that kind.
    """
    if address in known:
        return address
    for kind in KINDS:
        if address.startswith(f"{kind}-") and known.get(name := address.removeprefix(f"{kind}-")) == kind:
            return name
    kind = EMAIL if is_address(address) else address
    if known.get(kind) == kind:
        return kind
    alike = [name for name, of in known.items() if of == kind]
    return alike[0] if len(alike) == 1 else None

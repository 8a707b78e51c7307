"""The keys and the name of a runner as its channel uses them: what proves, what opens, and whom to believe. It writes no file."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import MessageError
from worker.wire.keys import PrivateKey
from worker.wire.keyset import Keyset, read_keyset
from worker.wire.signingkey import SigningKey, VerifyingKey


@dataclass(slots=True, kw_only=True)
class ChannelKeys:
    """*urn* is the runner, *audience* the control plane's base URL as it was enrolled, *root* the key that signs keysets.

    *opening* keys, the newest first, open what is sealed for the runner; *keyset* is the newest that was seen.
    """

    urn: str
    org: int
    audience: str
    signing: SigningKey
    opening: tuple[PrivateKey, ...]
    root: VerifyingKey
    keyset: Keyset

    def take_keyset(self, token: str) -> bool:
        """Believe a newer keyset that the root signed; tell if it is another one. Raises EnvelopeError, MessageError."""
        found = read_keyset(token, self.root)
        if not found.succeeds(self.keyset):
            raise MessageError(f"the keyset {found.seq} is older than {self.keyset.seq}, or of another organisation")
        changed = found.token != self.keyset.token
        self.keyset = found
        return changed

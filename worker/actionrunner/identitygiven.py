"""A read-only identity out of two values, `urn` and `privateKey`: what has no place to keep one is given it.

`privateKey` is a private JWK in base64url, as the reference system's: of the signing key, and with the member `pl`, in which
stands the rest of the identity. Such an identity takes no new keys and keeps no chain of starts.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from worker.actionrunner import identity as identities
from worker.actionrunner.identity import MAX_IDENTITY_BYTES, KeptIdentity
from worker.errors import ConfigError
from worker.secret import Secret
from worker.wire import compact

OPTION = "privateKey"
_REST = "pl"


class IdentityGiven:
    """The identity of *urn* whose keys are in *private_key*. It never changes."""

    def __init__(self, urn: str, private_key: Secret[str]) -> None:
        self._urn = urn
        self._private_key = private_key
        self.place = f"option {OPTION}"

    @property
    def writable(self) -> bool:
        return False

    def load(self) -> KeptIdentity | None:
        """Raises ConfigError, which never quotes the key."""
        try:
            text = self._private_key.reveal().strip()
            members = json.loads(compact.decode(text[: 2 * MAX_IDENTITY_BYTES].encode()))
            rest = members.pop(_REST)
            rest["keys"]["signing"] = json.dumps(members)
            whole = json.dumps(rest).encode()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            reason = "is not a whole identity in base64url: `private-action-runner identity` prints one"
            raise ConfigError(reason, option=OPTION) from None
        found = identities.read(whole, option=OPTION, place=self.place)
        if found.enrolment is None or found.enrolment.urn != self._urn:
            raise ConfigError("is not the name of the runner whose privateKey this is", option="urn")
        return found

    def change(self, _step: Callable[[KeptIdentity | None], KeptIdentity]) -> KeptIdentity:
        """Raises ConfigError."""
        raise ConfigError("cannot be changed: the identity is read-only", option=OPTION)

    def keep_old(self) -> None:
        """Raises ConfigError."""
        raise ConfigError("cannot be put aside: remove the option", option=OPTION)


def given_text(identity: KeptIdentity) -> Secret[str]:
    """The `privateKey` of an identity. Its chain of starts is left out."""
    kept = json.loads(identities.encode(identity))
    members = json.loads(kept["keys"].pop("signing"))
    rest = {name: kept[name] for name in ("version", "token", "base_url", "keys", "enrolment", "former")}
    whole = json.dumps({**members, _REST: rest}, separators=(",", ":")).encode()
    return Secret(compact.encode(whole).decode())

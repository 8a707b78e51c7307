"""An identity in a Secret of the runner's own cluster: replaced whole, and only as the version that was read.

The Secret is made empty beforehand; the runner's Role may `get` and `update` that name. Two instances that start together change
it one after the other: the API refuses the second one's version, which reads again.
"""

from __future__ import annotations

from collections.abc import Callable

from worker.actionrunner import identity as identities
from worker.actionrunner.cluster import ClusterAPI, ClusterError
from worker.actionrunner.identity import KeptIdentity
from worker.errors import ConfigError

KEY = "identity.json"
OLD = "identity.json.old"
MOST_TRIES = 10
"""Changes of the Secret by others while ours is made: instances that start together."""


class IdentitySecret:
    """The identity in Secret *name*. Its calls block for seconds at most, where the API server does not answer."""

    def __init__(self, api: ClusterAPI, name: str) -> None:
        self._api = api
        self._name = name
        self.place = f"Secret {name}"

    @property
    def writable(self) -> bool:
        """True: that it may not be changed shows at the first change, which comes before anything is told to anybody."""
        return True

    def load(self) -> KeptIdentity | None:
        try:
            data = self._api.secret(self._name).data.get(KEY, b"")
        except ClusterError as error:
            raise self._error(error) from error
        return self._read(data)

    def change(self, step: Callable[[KeptIdentity | None], KeptIdentity]) -> KeptIdentity:
        for _ in range(MOST_TRIES):
            try:
                secret = self._api.secret(self._name)
                changed = step(self._read(secret.data.get(KEY, b"")))
                self._api.replace(secret, {**secret.data, KEY: identities.encode(changed)})
            except ClusterError as error:
                if error.status != 409:
                    raise self._error(error) from error
            else:
                return changed
        raise ConfigError("is changed by others all the time", option="identitySecret", place=self.place)

    def keep_old(self) -> None:
        try:
            secret = self._api.secret(self._name)
            rest = {key: value for key, value in secret.data.items() if key != KEY}
            self._api.replace(secret, {**rest, OLD: secret.data.get(KEY, b"")})
        except ClusterError as error:
            raise self._error(error) from error

    def _read(self, data: bytes) -> KeptIdentity | None:
        return identities.read(data, option="identitySecret", place=self.place) if data else None

    def _error(self, error: ClusterError) -> ConfigError:
        cure = {
            403: ": its Role needs `get` and `update` on that name",
            404: ": make it empty, `kubectl create secret generic NAME`",
        }.get(error.status, "")
        return ConfigError(f"cannot be used: {error}{cure}", option="identitySecret", place=self.place)

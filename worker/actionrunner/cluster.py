"""The API of the Kubernetes cluster that the runner lives in, as far as it keeps secrets: two calls, over HTTPS, as its pod.

Both block, for seconds at most: the identity asks at a start and when keys change, credentials in a thread. Addresses and
authorities come from the pod alone; no task and no control plane names any. No message shows what a Secret holds.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from worker.errors import SyntheticsError

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""The folder in which a pod finds its token, its namespace, and the authority of the API server."""
SECONDS: Final = 3.0
"""For each step of one call: an API server answers in milliseconds, and what waits longer is told."""
MAX_ANSWER: Final = 3 * 1024 * 1024
"""Bytes: a Secret holds 1 MiB, which base64 makes 4/3 of."""
NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
"""Of a Secret: RFC 1123."""


class ClusterError(SyntheticsError):
    """A call that the cluster did not carry out. *status* is that of its answer, 0 where there was none."""

    def __init__(self, text: str, *, status: int = 0) -> None:
        self.status = status
        super().__init__(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSecret:
    """A Secret as the API gave it; *data* is its content. *whole* is what goes back with other content, its version included."""

    name: str
    data: Mapping[str, bytes] = field(repr=False)
    whole: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAPI:
    """The API server at *host* and *port*, as the service account whose files are in *account*. Files are read for each call."""

    host: str
    port: int
    account: Path

    @classmethod
    def of(cls, environment: Mapping[str, str], account: Path | None = None) -> ClusterAPI:
        """The one that Kubernetes tells a pod of. Raises ClusterError elsewhere."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
        if not host or not port.isdecimal():
            raise ClusterError("this is not a pod of Kubernetes: KUBERNETES_SERVICE_HOST is not set")
        return cls(host=host, port=int(port), account=account or SERVICE_ACCOUNT)

    def namespace(self) -> str:
        """The pod's. Raises ClusterError."""
        return self._file("namespace")

    def secret(self, name: str) -> ClusterSecret:
        """Read a Secret of the pod's namespace. Raises ClusterError."""
        return _secret(name, self._call("GET", name, None))

    def replace(self, secret: ClusterSecret, data: Mapping[str, bytes]) -> ClusterSecret:
        """Put *data* in the place of a Secret's content. Raises ClusterError, with status 409 where somebody changed it since."""
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        body = orjson.dumps({**secret.whole, "data": encoded})
        return _secret(secret.name, self._call("PUT", secret.name, body))

    def _call(self, method: str, name: str, body: bytes | None) -> Any:
        if NAME.fullmatch(name) is None:
            raise ClusterError(f"{name[:80]!r} is not a valid name of a Secret")
        path = f"/api/v1/namespaces/{self.namespace()}/secrets/{name}"
        headers = {"Authorization": f"Bearer {self._file('token')}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            trust = ssl.create_default_context(cafile=str(self.account / "ca.crt"))
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=SECONDS, context=trust)
            try:
                connection.request(method, path, body=body, headers=headers)
                answer = connection.getresponse()
                content = answer.read(MAX_ANSWER + 1)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ClusterError(f"the Kubernetes API at {self.host}:{self.port} does not answer: {error}") from error
        if answer.status != 200:
            raise ClusterError(
                f"Kubernetes: {method} Secret {name}: {_reason(answer.status, content)}", status=answer.status
            )
        try:
            return orjson.loads(content) if len(content) <= MAX_ANSWER else None
        except ValueError:
            return None

    def _file(self, name: str) -> str:
        try:
            return (self.account / name).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise ClusterError(f"{self.account / name} cannot be read: {error}") from error


def _secret(name: str, answer: Any) -> ClusterSecret:
    try:
        data = {str(key): base64.b64decode(value, validate=True) for key, value in (answer.get("data") or {}).items()}
        is_versioned = isinstance(answer["metadata"]["resourceVersion"], str)
    except (AttributeError, KeyError, TypeError, binascii.Error, ValueError):
        is_versioned = False
    if not is_versioned:
        raise ClusterError(f"Kubernetes: the answer about Secret {name} is not a Secret")
    return ClusterSecret(name=name, data=data, whole=answer)


def _reason(status: int, content: bytes) -> str:
    """The API's own sentence, which names objects and rights alone."""
    try:
        told = orjson.loads(content[:65_536])
        message = told["message"] if isinstance(told, dict) else ""
    except (ValueError, KeyError):
        message = ""
    return f"HTTP {status} {message if isinstance(message, str) else ''}".strip()[:400]

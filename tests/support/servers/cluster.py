"""A small Kubernetes API server over real HTTPS: the two calls about Secrets, as the API reference has them.

PUT is refused with 409 where `resourceVersion` is not the newest, and everything with 403 or 401 by name and token.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

NAMESPACE = "private-actions"
TOKEN = "token-of-the-service-account"


class Cluster:
    """Secrets by name, each with its version; *before_put* is called once a PUT has come, before it is judged."""

    def __init__(self, account: Path) -> None:
        self.account = account
        self.secrets: dict[str, dict[str, Any]] = {}
        self.allowed: set[str] = set()
        self.version = 0
        self.token = TOKEN
        self.before_put: Callable[[], None] = lambda: None
        self.raw: bytes | None = None
        """An answer in the place of every other."""
        self.asked: list[str] = []
        self.port = 0

    @property
    def environment(self) -> dict[str, str]:
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)}

    def make(self, name: str, data: Mapping[str, bytes] | None = None) -> None:
        """`kubectl create secret generic NAME`, and a Role that names it."""
        self.version += 1
        self.allowed.add(name)
        self.secrets[name] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": {"app": "runner"},
                "resourceVersion": str(self.version),
            },
            **({} if data is None else {"data": {key: _encoded(value) for key, value in data.items()}}),
        }

    def content(self, name: str, key: str) -> bytes:
        return base64.b64decode(self.secrets[name]["data"][key])

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, bytes]:
        self.asked.append(f"{method} {path}")
        if self.raw is not None:
            return 200, self.raw
        head, _, name = path.rpartition("/")
        if token != self.token:
            return _status(401, "Unauthorized")
        if head != f"/api/v1/namespaces/{NAMESPACE}/secrets":
            return _status(404, "the server could not find the requested resource")
        if name not in self.allowed:
            return _status(
                403, f'secrets "{name}" is forbidden: User "runner" cannot {method.lower()} resource "secrets"'
            )
        if name not in self.secrets:
            return _status(404, f'secrets "{name}" not found')
        if method == "PUT":
            self.before_put()
            sent = json.loads(body)
            if sent["metadata"]["resourceVersion"] != self.secrets[name]["metadata"]["resourceVersion"]:
                return _status(409, f'Operation cannot be fulfilled on secrets "{name}": the object has been modified')
            self.version += 1
            sent["metadata"]["resourceVersion"] = str(self.version)
            self.secrets[name] = sent
        return 200, json.dumps(self.secrets[name]).encode()


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _status(code: int, message: str) -> tuple[int, bytes]:
    told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return code, json.dumps(told).encode()


@contextmanager
def running_cluster(account: Path) -> Iterator[Cluster]:
    """Serve on loopback, with the files of a service account in *account*."""
    account.mkdir()
    cluster, authority = Cluster(account), trustme.CA()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, content = cluster.answer(self.command, self.path, token, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = _any  # noqa: N815 - the names are the base class's

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = _context(authority)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    cluster.port = server.server_address[1]
    authority.cert_pem.write_to_path(str(account / "ca.crt"))
    (account / "namespace").write_text(NAMESPACE)
    (account / "token").write_text(TOKEN + "\n")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _context(authority: trustme.CA) -> Any:
    import ssl  # noqa: PLC0415 - with what it makes

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context

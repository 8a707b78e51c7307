"""The kinds of connections: the members that an entry of each may have, and how it becomes a value."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from worker.actionrunner.globs import part_glob
from worker.actionrunner.isolation import missing_isolation
from worker.actionrunner.scriptfile import scripts_of
from worker.actionrunner.yamlfile import OperatorsFile
from worker.actions.action import LONGEST_TIMEOUT, ActionFailure, Effect
from worker.actions.connection import ActionConnection, CredentialSource, names_in
from worker.actions.http_request import REFUSED_FIELDS, HTTPConnection
from worker.actions.postgresql import MAX_SQL, NamedQuery, PostgresConnection
from worker.actions.script import ScriptConnection
from worker.actions.weburl import absolute, is_ambiguous
from worker.net.http.fields import TOKEN
from worker.schemas.schema import closed, fault
from worker.wire.actionwords import plain_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionEntry:
    """One entry as it is written, valid by its kind's schema. *files* collects what it names."""

    file: OperatorsFile
    directory: Path
    name: str
    written: Mapping[str, Any]
    files: list[Path]
    environment: Mapping[str, str]
    """The runner's, of which scripts may list variables."""
    isolation_required: bool = False
    """The operator's word for every connection whose actions are scripts."""

    def path(self, text: str) -> Path:
        """A path of the entry; relative ones are relative to the config's directory."""
        path = self.directory / text
        self.files.append(path)
        return path

    def common(self) -> dict[str, Any]:
        """The members that every kind of connection has."""
        allow = self.written.get("allow", {})
        for index, text in enumerate(allow.get("actions", ())):
            try:
                part_glob(text, ".")
            except ValueError as error:
                raise self.file.mistake(
                    f"is not a valid glob: {error}", (self.name, "allow", "actions", index)
                ) from None
        return {
            "name": self.name,
            "kind": self.written["type"],
            "place": self.file.place((self.name,)),
            "credentials": self._credentials(),
            "allowed_actions": tuple(map(plain_name, allow.get("actions", ()))),
            "allowed_clients": tuple(allow.get("clients", ())),
            "concurrency": self.written.get("concurrency"),
        }

    def _credentials(self) -> CredentialSource | None:
        written = self.written.get("credentials")
        if written is None:
            return None
        file, secret = written.get("file"), written.get("kubernetes_secret")
        return CredentialSource(
            file=None if file is None else str(self.directory / file),
            environment=tuple(written.get("env", ())),
            secret=None if secret is None else (secret["name"], secret["key"]),
        )

    def with_client(self, common: dict[str, Any], certificate: str | None, key: str | None) -> dict[str, Any]:
        """*common* with the files of a client certificate among the credentials. Raises ConfigError for one without the other."""
        if (certificate is None) != (key is None):
            raise self.file.mistake("has cert_file or key_file without the other", (self.name, "tls"))
        if certificate is None or key is None:
            return common
        source = common["credentials"] or CredentialSource()
        files = (str(self.directory / certificate), str(self.directory / key))
        return {**common, "credentials": replace(source, client=files)}

    def require_credentials_for(self, member: str, *templates: str) -> None:
        """Raises ConfigError where a template names a credential and the entry has none to read."""
        if "credentials" not in self.written and any(map(names_in, templates)):
            raise self.file.mistake(
                "it names a credential, and the connection has no `credentials`", (self.name, member)
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionKind:
    """*read* raises ConfigError."""

    properties: Mapping[str, Any]
    required: tuple[str, ...]
    read: Callable[[ConnectionEntry], ActionConnection]


_QUERY: Final = closed(
    {
        "sql": {"type": "string", "minLength": 1, "maxLength": MAX_SQL},
        "params": {"type": "object"},
        "effect": {"enum": [*Effect]},
        "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_TIMEOUT},
    },
    "sql",
)
_TEMPLATES: Final = {
    "type": "object",
    "maxProperties": 100,
    "additionalProperties": {"type": "string", "maxLength": 8192},
}


def _http(entry: ConnectionEntry) -> HTTPConnection:
    written = entry.written
    headers = tuple(written.get("headers", {}).items())
    parameters = tuple(written.get("url_parameters", {}).items())
    for name, _ in headers:
        if TOKEN.fullmatch(name) is None or name.lower() in REFUSED_FIELDS - {"host"}:
            raise entry.file.mistake("is not a request header that a connection can set", (entry.name, "headers", name))
    entry.require_credentials_for("headers", *(value for _, value in headers))
    entry.require_credentials_for("url_parameters", *(value for _, value in parameters))
    user = written.get("basic_auth", {}).get("username")
    if user is not None and "credentials" not in written:
        raise entry.file.mistake(
            "its password is a credential, and there are no `credentials`", (entry.name, "basic_auth")
        )
    try:
        base = absolute(written["base_url"])
    except ActionFailure as failure:
        raise entry.file.mistake(str(failure), (entry.name, "base_url")) from None
    if "?" in base.path or is_ambiguous(base.path):
        raise entry.file.mistake("has a query, dot segments or encoded separators", (entry.name, "base_url"))
    tls, test = written.get("tls", {}), written.get("test", {})
    ca_file = tls.get("ca_file")
    return HTTPConnection(
        **entry.with_client(entry.common(), tls.get("cert_file"), tls.get("key_file")),
        base_url=base,
        headers=headers,
        url_parameters=parameters,
        basic_user=user,
        ca_file=None if ca_file is None else str(entry.path(ca_file)),
        idempotent=written.get("idempotent", False),
        test_verb=test.get("verb", "GET"),
        test_path=test.get("path", ""),
    )


def _script(entry: ConnectionEntry) -> ScriptConnection:
    user = entry.written.get("user")
    missing = missing_isolation(user)
    if missing and (entry.isolation_required or entry.written.get("require_isolation", False)):
        raise entry.file.mistake("; ".join(missing), (entry.name, "require_isolation"))
    path = entry.path(entry.written["file"])
    return ScriptConnection(
        **entry.common(),
        file=str(path),
        scripts=scripts_of(path),
        user=user,
        inherited=entry.environment,
        trouble=missing,
    )


def _postgresql(entry: ConnectionEntry) -> PostgresConnection:
    written = entry.written
    user, password = written.get("user", "{{ user }}"), written.get("password", "{{ password }}")
    if "credentials" not in written and "password" not in written:
        password = None
    if password is not None and not names_in(password):
        raise entry.file.mistake("a password is a credential: write {{ NAME }}", (entry.name, "password"))
    entry.require_credentials_for("user", user, written["host"], *(() if password is None else (password,)))
    sslmode = written.get("tls", {}).get("mode", "verify-full")
    ca_file = written.get("tls", {}).get("ca_file")
    authorities = system_authorities() if ca_file is None else str(entry.path(ca_file))
    if authorities is None and sslmode.startswith("verify"):
        raise entry.file.mistake("this system has no file of authorities: name one as tls.ca_file", (entry.name,))
    return PostgresConnection(
        **entry.common(),
        host=written["host"],
        port=written.get("port", 5432),
        database=written["database"],
        user=user,
        password=password,
        sslmode=sslmode,
        ca_file=authorities or "",
        search_path=written.get("search_path"),
        queries={name: _query(entry, name, query) for name, query in written.get("queries", {}).items()},
    )


def _query(entry: ConnectionEntry, name: str, written: Mapping[str, Any]) -> NamedQuery:
    at = (entry.name, "queries", name)
    entry.file.require(_QUERY, at, written)
    schema = {"type": "object", "additionalProperties": False, **written.get("params", {})}
    reason = fault(schema)
    if reason is not None:
        raise entry.file.mistake(f"is not a valid JSON Schema: {reason}", (*at, "params"))
    properties = schema.get("properties", {})
    return NamedQuery(
        sql=written["sql"],
        schema=schema,
        parameters=tuple(properties) if isinstance(properties, dict) else (),
        effect=Effect(written.get("effect", Effect.READ)),
        timeout=written.get("timeout"),
    )


def system_authorities() -> str | None:
    """The file in which this system keeps the authorities that it believes; None where there is no such file."""
    known = ssl.get_default_verify_paths().cafile
    places = (known, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
    return next((place for place in places if place is not None and Path(place).is_file()), None)


KINDS: Final[Mapping[str, ConnectionKind]] = {
    "http": ConnectionKind(
        properties={
            "base_url": {"type": "string", "maxLength": 2000},
            "headers": _TEMPLATES,
            "url_parameters": _TEMPLATES,
            "basic_auth": closed({"username": {"type": "string", "minLength": 1}}, "username"),
            "tls": closed({name: {"type": "string", "minLength": 1} for name in ("ca_file", "cert_file", "key_file")}),
            "idempotent": {"type": "boolean"},
            "test": closed({"verb": {"enum": ["HEAD", "GET", "POST"]}, "path": {"type": "string"}}),
        },
        required=("base_url",),
        read=_http,
    ),
    "script": ConnectionKind(
        properties={
            "file": {"type": "string", "minLength": 1},
            "user": {"type": "string", "minLength": 1},
            "require_isolation": {"type": "boolean"},
        },
        required=("file",),
        read=_script,
    ),
    "postgresql": ConnectionKind(
        properties={
            "host": {"type": "string", "minLength": 1},
            "port": {"type": "integer", "minimum": 1, "maximum": 65_535},
            "database": {"type": "string", "minLength": 1},
            "user": {"type": "string", "minLength": 1},
            "password": {"type": "string", "minLength": 1},
            "search_path": {"type": "string", "minLength": 1},
            "tls": closed(
                {
                    "mode": {"enum": ["verify-full", "verify-ca", "require", "disable"]},
                    "ca_file": {"type": "string", "minLength": 1},
                }
            ),
            "queries": {"type": "object", "maxProperties": 500},
        },
        required=("host", "database"),
        read=_postgresql,
    ),
}

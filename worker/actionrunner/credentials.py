"""Credentials of a connection: read for every order, so that an operator can change them under a running runner.

Files are those of the reference system: `{"auth_type": "Token Auth", "credentials": [{"tokenName", "tokenValue"}]}` or
`{"auth_type": "Basic Auth", "credentials": [{"username", "password"}]}`; a key of a Kubernetes Secret holds the same. A file that
everybody on the machine may read is refused, and so is one that lacks what it should have. No message repeats a value.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson

from worker.actionrunner.cluster import ClusterAPI, ClusterError
from worker.actionrunner.yamlfile import MAX_FILE
from worker.actions.connection import CERTIFICATE, KEY, CredentialsError, CredentialSource
from worker.secret import Secret

_MEMBERS: Final = {"Token Auth": ("tokenName", "tokenValue"), "Basic Auth": ("username", "password")}


def read_credentials(source: CredentialSource, environment: Mapping[str, str]) -> dict[str, Secret[str]]:
    """The credentials by name. Raises CredentialsError. Blocks on a file, or on the cluster's API for seconds at most."""
    found: dict[str, Secret[str]] = {}
    if source.file is not None:
        found |= _of_document(_file(Path(source.file)), source.file)
    if source.secret is not None:
        name, key = source.secret
        found |= _of_document(_of_cluster(name, key, environment), f"Secret {name}, key {key}")
    if source.client is not None:
        found |= _of_client(*map(Path, source.client))
    for name in source.environment:
        value = environment.get(name)
        if not value:
            raise CredentialsError(f"the environment variable {name} is not set")
        found[name] = Secret(value)
    return found


def _of_client(certificate: Path, key: Path) -> dict[str, Secret[str]]:
    return {CERTIFICATE: _pem(_public_file(certificate), certificate), KEY: _pem(_file(key), key)}


def _of_document(content: bytes, place: str) -> dict[str, Secret[str]]:
    if len(content) > MAX_FILE:
        raise CredentialsError(f"{place} is larger than {MAX_FILE} bytes")
    try:
        document = orjson.loads(content)
    except ValueError:
        raise CredentialsError(f"{place} is not valid JSON") from None
    members = _MEMBERS.get(document.get("auth_type", "")) if isinstance(document, dict) else None
    entries = document.get("credentials") if isinstance(document, dict) else None
    if members is None or not isinstance(entries, list) or not entries:
        raise CredentialsError(
            f"{place} is not a valid file of credentials: it has no auth_type that is known, or none of them"
        )
    name, value = members
    found: dict[str, Secret[str]] = {}
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not all(isinstance(entry.get(member), str) for member in members):
            raise CredentialsError(f"{place}: credentials[{index}] has no {name} and {value}")
        if not entry[name] or not entry[value]:
            raise CredentialsError(f"{place}: credentials[{index}] has an empty {name} or {value}")
        found[entry[name]] = Secret(entry[value])
    return found


def _file(path: Path) -> bytes:
    """The content of a file that not everybody may read."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o007:
                raise CredentialsError(f"{path} can be read by everybody on this machine: chmod o= {path}")
            return file.read(MAX_FILE + 1)
    except OSError as error:
        raise CredentialsError(f"{path} cannot be read: {error.strerror}") from None


def _public_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as error:
        raise CredentialsError(f"{path} cannot be read: {error.strerror}") from None


def _pem(content: bytes, path: Path) -> Secret[str]:
    if len(content) > MAX_FILE or not content.isascii() or b"-----BEGIN " not in content:
        raise CredentialsError(f"{path} is not a valid PEM file of at most {MAX_FILE} bytes")
    return Secret(content.decode())


def _of_cluster(name: str, key: str, environment: Mapping[str, str]) -> bytes:
    try:
        data = ClusterAPI.of(environment).secret(name).data
    except ClusterError as error:
        raise CredentialsError(str(error)) from None
    if key not in data:
        raise CredentialsError(f"Secret {name} has no key {key}")
    return data[key]

"""The options, read from a YAML or JSON file and the environment into one frozen value. Unknown keys are mistakes.

Kinds of value and their readers are the worker's (`worker.config`). Each option has the key of its name, a variable
ACTION_RUNNER_<NAME>, and, where the reference system publishes one, that. The environment is stronger than the file. Only the
command line sees this module.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any, Literal

from worker.actionrunner.optiontable import MODES, OPTIONS, UNUSED
from worker.actionrunner.yamlfile import read_operators_file
from worker.config import kinds
from worker.config.files import read_file
from worker.config.mistake import Mistake
from worker.config.option import Option
from worker.config.written import from_json, from_text
from worker.egress.address_table import Network
from worker.egress.nameserver import Nameserver
from worker.egress.proxy import Proxy
from worker.egress.rules import Glob
from worker.errors import ConfigError, ConfigErrors
from worker.secret import Secret
from worker.text import nearest, quoted
from worker.wire.enrolment import Mode

CONFIG_DIRECTORY = "/etc/dd-action-runner/config"
CONFIG_DIRECTORY_VARIABLE = "DD_PRIVATE_RUNNER_CONFIG_DIR"
CONFIG_FILE = "config.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerConfig:
    """Settings of a runner. Durations in seconds, sizes in bytes. Paths are absolute, or below *directory*."""

    directory: Path
    base_url: str | None
    control_plane_url: str | None
    enrolment_token: Secret[str] | None
    name: str | None
    modes: tuple[Mode, ...] | None
    identity_file: Path
    identity_secret: str | None
    urn: str | None
    private_key: Secret[str] | None
    concurrency: int
    task_timeout: float
    push_reserved: int
    write_timeout: float
    http_timeout: float
    max_output_bytes: int
    drain_timeout: float
    state_directory: Path | None
    connections_file: Path | None
    policy_file: Path | None
    actions_allowlist: tuple[str, ...]
    port: int
    push_host: str | None
    public_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    tls_cert: Path | None
    tls_key: Path | None
    host: str
    probes_port: int
    allow_imds: bool
    dns_servers: tuple[Nameserver, ...]
    dns_use_host: bool
    enable_ipv6: bool
    allow_ranges: tuple[Network, ...]
    deny_ranges: tuple[Network, ...]
    nat64_prefixes: tuple[IPv6Network, ...]
    allowed_domain_names: tuple[Glob, ...]
    blocked_domain_names: tuple[Glob, ...]
    proxy: Proxy | None
    ca_file: Path | None
    audit_log: Path | None
    require_isolation: bool
    tags: tuple[str, ...]
    report: Literal["full", "names", "none"]
    log_format: Literal["pretty", "json"]
    insecure_control_plane: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRunner:
    """A config, and warnings to be logged once logs are set up."""

    config: RunnerConfig
    warnings: tuple[str, ...]


_BY_NAME = {option.name: option for option in OPTIONS}
_FILES = {option.file_name: option for option in OPTIONS if option.file_name}


def runner_variable(name: str) -> str:
    """The ACTION_RUNNER_ variable of a camelCase, possibly dotted, name.

    >>> runner_variable("taskTimeoutSeconds"), runner_variable("ddBaseURL"), runner_variable("allowIMDSEndpoint")
    ('ACTION_RUNNER_TASK_TIMEOUT_SECONDS', 'ACTION_RUNNER_DD_BASE_URL', 'ACTION_RUNNER_ALLOW_IMDS_ENDPOINT')
    """
    words = name.replace("IPv6", "Ipv6").replace(".", "_")
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words)
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", words)
    return f"ACTION_RUNNER_{words.upper()}"


def load(environ: Mapping[str, str], directory: str | None = None) -> LoadedRunner:
    """Read the config of *directory*, else of DD_PRIVATE_RUNNER_CONFIG_DIR. Raises ConfigErrors, one line per mistake."""
    folder = Path(directory or environ.get(CONFIG_DIRECTORY_VARIABLE, "").strip() or CONFIG_DIRECTORY).absolute()
    reading = _Reading(folder)
    reading.take_file()
    reading.take_environment(environ)
    if reading.mistakes:
        raise ConfigErrors(reading.mistakes)
    return LoadedRunner(config=_config(folder, reading.values), warnings=tuple(reading.warnings))


class _Reading:
    """Values by option name, the file's first and the environment's over them."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CONFIG_FILE
        self._folder = folder
        self.values: dict[str, Any] = {
            option.name: None if option.default is None else kinds.meaning(option, option.default) for option in OPTIONS
        }
        self.mistakes: list[ConfigError] = []
        self.warnings: list[str] = []

    def take_file(self) -> None:
        if not self._path.exists():
            return
        try:
            file = read_operators_file(self._path, "config")
            if not isinstance(file.data, dict | None):
                raise file.mistake("must be a mapping of option names")
        except ConfigError as mistake:
            self.mistakes.append(mistake)
            return
        for at, value in _flattened(file.data or {}):
            self._take_key(".".join(at), f"file {file.place(at)}", value)

    def _take_key(self, key: str, place: str, value: object) -> None:
        if key in _BY_NAME:
            self._take(key, place, _BY_NAME[key], value)
        elif key in _FILES:
            self._take_mounted(key, place, value)
        elif key == "appBuilder.port":
            self._take(key, place, _BY_NAME["port"], value)
        else:
            meant = nearest(key, (*_BY_NAME, *_FILES), likeness=0.6)
            hint = f": did you mean {meant}?" if meant else ""
            self.mistakes.append(ConfigError(f"unknown key {quoted(key)}{hint}", place=place))

    def take_environment(self, environ: Mapping[str, str]) -> None:
        for option in OPTIONS:
            for variable in (runner_variable(option.name), *option.environment):
                text = environ.get(variable, "").strip()
                if text:
                    self._take(option.name, f"environment {variable}", option, text)
        for name in _FILES:
            text = environ.get(runner_variable(name), "").strip()
            if text:
                self._take_mounted(name, f"environment {runner_variable(name)}", text)
        for unused in UNUSED:
            if environ.get(unused.name, "").strip():
                self.warnings.append(f"{unused.name} is accepted and not used: {unused.why}")

    def _take(self, name: str, place: str, option: Option, value: object) -> None:
        try:
            is_text = isinstance(value, str) and place.startswith("environment")
            written = from_text(option, str(value)) if is_text else from_json(option, value)
            self.values[option.name] = kinds.meaning(option, written)
        except Mistake as mistake:
            self.mistakes.append(ConfigError(str(mistake), option=name, place=place))

    def _take_mounted(self, name: str, place: str, value: object) -> None:
        option = _FILES[name]
        try:
            if not isinstance(value, str):
                raise Mistake("must be a string, the path of a file")  # noqa: TRY301
            text = read_file(str(self._folder / value), called="the file it names").strip()
            self.values[option.name] = kinds.meaning(option, from_text(option, text))
        except Mistake as mistake:
            self.mistakes.append(ConfigError(str(mistake), option=name, place=place))


def _flattened(content: Mapping[str, Any]) -> Sequence[tuple[tuple[str, ...], object]]:
    """Each key by its place, with the members of a group under their own."""
    groups = {name.rpartition(".")[0] for name in (*_BY_NAME, "appBuilder.port") if "." in name}
    flat: list[tuple[tuple[str, ...], object]] = []
    for key, value in content.items():
        if key in groups and isinstance(value, dict):
            flat.extend(((key, inner), member) for inner, member in value.items())
        else:
            flat.append(((key,), value))
    return flat


def _config(folder: Path, values: Mapping[str, Any]) -> RunnerConfig:
    """The values by their fields: two options of one field are lists and are joined; paths are below the folder."""
    found: dict[str, Any] = {"directory": folder}
    for option in OPTIONS:
        value = values[option.name]
        found[option.field] = found[option.field] + value if option.field in found else value
    for name in (
        "identity_file",
        "state_directory",
        "connections_file",
        "policy_file",
        "audit_log",
        "tls_cert",
        "tls_key",
    ):
        found[name] = None if found[name] is None else folder / found[name]
    if found["modes"] is not None:
        wanted = {MODES[word] for word in found["modes"]}
        found["modes"] = tuple(mode for mode in ("pull", "push") if mode in wanted)
    return RunnerConfig(**{field.name: found[field.name] for field in fields(RunnerConfig)})


def hostname() -> str:
    """The name that this machine gives itself, for people."""
    name = socket.gethostname()[:200]
    return name if name.isprintable() else ""

"""The options: one table, read from a YAML or JSON file and the environment into one frozen value. Unknown keys are mistakes.

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

from worker.actionrunner.yamlfile import read_operators_file
from worker.config import kinds
from worker.config.files import read_file
from worker.config.mistake import Mistake
from worker.config.option import Group, Option, Unused, ValueKind
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

_MODES: Mapping[str, Mode] = {"pull": "pull", "workflowAutomation": "pull", "push": "push", "appBuilder": "push"}
"""Modes by their names and the reference system's."""


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


# fmt: off
OPTIONS: tuple[Option, ...] = (
    Option(
        name="ddBaseURL", kind=ValueKind.URL, group=Group.INTAKE, field="base_url", environment=("DD_BASE_URL",),
        help="The control plane. The enrolment token says it; one that differs from the identity's stops the start.",
    ),
    Option(
        name="controlPlaneUrl", kind=ValueKind.URL, group=Group.INTAKE, field="control_plane_url",
        help="The same as ddBaseURL, under our own name.",
    ),
    Option(
        name="insecureControlPlane", kind=ValueKind.BOOLEAN, group=Group.INTAKE, field="insecure_control_plane", default=False,
        help="Allow a control plane over plain HTTP that is not on this machine. Off: what is sent is sealed and proven, but who"
        " runs what, and when, is open to every listener.",
    ),
    Option(
        name="enrollmentToken", kind=ValueKind.SECRET, group=Group.IDENTITY, field="enrolment_token",
        environment=("RUNNER_ENROLLMENT_TOKEN",),
        help="The text of `runner create`, good for one enrolment; a runner that has enrolled needs it no more.",
    ),
    Option(
        name="name", kind=ValueKind.TEXT, group=Group.IDENTITY, field="name", environment=("RUNNER_NAME",),
        help="The runner's name, to be sure that the token is meant for this machine. No default: the token says it.",
    ),
    Option(
        name="modes", kind=ValueKind.CHOICE, group=Group.IDENTITY, field="modes", many=True, one_or_many=True,
        choices=tuple(_MODES), environment=("RUNNER_MODES",),
        help="pull (workflowAutomation), push (appBuilder), or both; fewer than the runner was made with are fine.",
    ),
    Option(
        name="identityFile", kind=ValueKind.TEXT, group=Group.IDENTITY, field="identity_file", default="identity.json",
        help="Where the runner's keys are kept: it makes them, and this is their only copy. A file that it cannot write is a"
        " read-only identity: no rotation, and copies are noticed later.",
    ),
    Option(
        name="identitySecret", kind=ValueKind.TEXT, group=Group.IDENTITY, field="identity_secret",
        help="A Secret of the pod's own namespace in the place of identityFile, made empty beforehand; the pod's Role may get and"
        " update that name.",
    ),
    Option(
        name="urn", kind=ValueKind.TEXT, group=Group.IDENTITY, field="urn", environment=("RUNNER_URN",),
        help="The name of a read-only identity, with privateKey: `private-action-runner identity` prints both.",
    ),
    Option(
        name="privateKey", kind=ValueKind.SECRET, group=Group.IDENTITY, field="private_key", environment=("RUNNER_PRIVATE_KEY",),
        help="The keys of a read-only identity: no rotation, and copies are noticed later.",
    ),
    Option(
        name="taskConcurrency", kind=ValueKind.INTEGER, group=Group.WORK, field="concurrency", default=10, minimum=1,
        maximum=1000, help="Actions at a time.",
    ),
    Option(
        name="pushReserved", kind=ValueKind.INTEGER, group=Group.WORK, field="push_reserved", default=2, minimum=0, maximum=500,
        help="Slots that tasks leave to pages, and pages to tasks, where the runner has both modes; half of all at the most.",
    ),
    Option(
        name="httpServerWriteTimeout", kind=ValueKind.MILLISECONDS, group=Group.WORK, field="write_timeout", default=60_000,
        minimum=1000, maximum=3_600_000,
        help="How long a page waits for its answer; then the action is ended, and the answer says that it may have run.",
    ),
    Option(
        name="taskTimeoutSeconds", kind=ValueKind.SECONDS, group=Group.WORK, field="task_timeout", default=60, minimum=1,
        maximum=3600, help="The longest that an action may take, whatever its caller says.",
    ),
    Option(
        name="httpTimeoutSeconds", kind=ValueKind.SECONDS, group=Group.WORK, field="http_timeout", default=30, minimum=1,
        maximum=3600, help="The longest that an HTTP request may take.",
    ),
    Option(
        name="maxOutputBytes", kind=ValueKind.BYTES, group=Group.WORK, field="max_output_bytes", default=1024 * 1024,
        minimum=1024, maximum=5 * 1024 * 1024, help="The largest output of an action; a larger one is a failure, never cut.",
    ),
    Option(
        name="drainTimeout", kind=ValueKind.SECONDS, group=Group.WORK, field="drain_timeout", default=65, minimum=0, maximum=3600,
        help="How long actions may go on after a signal: more than taskTimeoutSeconds, so that none is cut.",
    ),
    Option(
        name="stateDirectory", kind=ValueKind.TEXT, group=Group.WORK, field="state_directory",
        help="Where starts and results are put on disk. Without it a crash leaves actions that must not run twice in doubt.",
    ),
    Option(
        name="connectionsFile", kind=ValueKind.TEXT, group=Group.POLICY, field="connections_file",
        help="The private services that actions may name, with their credentials. connections.yaml beside the config without it.",
    ),
    Option(
        name="policyFile", kind=ValueKind.TEXT, group=Group.POLICY, field="policy_file",
        help="The last word on every action; nothing is allowed without one. policy.yaml beside the config without it.",
    ),
    Option(
        name="actionsAllowlist", kind=ValueKind.TEXT, group=Group.POLICY, field="actions_allowlist", many=True, one_or_many=True,
        default=(), environment=("ACTIONS_ALLOWLIST",),
        help="Allow rules without conditions, as the reference system has them; not beside a policy file.",
    ),
    Option(
        name="requireIsolation", kind=ValueKind.BOOLEAN, group=Group.POLICY, field="require_isolation", default=False,
        help="Refuse to start where the system cannot keep scripts away from identity and credentials.",
    ),
    Option(
        name="allowIMDSEndpoint", kind=ValueKind.BOOLEAN, group=Group.POLICY, field="allow_imds", default=False,
        help="Let HTTP actions reach the metadata addresses of clouds, which hand out credentials.",
    ),
    Option(
        name="whitelistedRange.4", kind=ValueKind.RANGE_4, group=Group.POLICY, field="allow_ranges", many=True, default=(),
        one_or_many=True, help="IPv4 ranges that actions may reach besides.",
    ),
    Option(
        name="whitelistedRange.6", kind=ValueKind.RANGE_6, group=Group.POLICY, field="allow_ranges", many=True, default=(),
        one_or_many=True, help="IPv6 ranges that actions may reach besides.",
    ),
    Option(
        name="blacklistedRange.4", kind=ValueKind.RANGE_4, group=Group.POLICY, field="deny_ranges", many=True, default=(),
        one_or_many=True, help="IPv4 ranges that no action reaches.",
    ),
    Option(
        name="blacklistedRange.6", kind=ValueKind.RANGE_6, group=Group.POLICY, field="deny_ranges", many=True, default=(),
        one_or_many=True, help="IPv6 ranges that no action reaches.",
    ),
    Option(
        name="nat64Prefix", kind=ValueKind.NAT64_PREFIX, group=Group.POLICY, field="nat64_prefixes", many=True, default=(),
        one_or_many=True, help="Prefixes under which this network hides IPv4 addresses.",
    ),
    Option(
        name="allowedDomainNames", kind=ValueKind.DOMAIN, group=Group.POLICY, field="allowed_domain_names", many=True, default=(),
        one_or_many=True, help="Names that actions may reach whatever their addresses.",
    ),
    Option(
        name="blockedDomainNames", kind=ValueKind.DOMAIN, group=Group.POLICY, field="blocked_domain_names", many=True, default=(),
        one_or_many=True, help="Names that no action reaches.",
    ),
    Option(
        name="dnsServer", kind=ValueKind.NAMESERVER, group=Group.NAMES, field="dns_servers", many=True, default=(),
        one_or_many=True, help="Name servers to ask, in turn.",
    ),
    Option(
        name="dnsUseHost", kind=ValueKind.BOOLEAN, group=Group.NAMES, field="dns_use_host", default=True,
        help="Ask the machine's own name servers: an internal service is named there.",
    ),
    Option(
        name="enableIPv6", kind=ValueKind.BOOLEAN, group=Group.NAMES, field="enable_ipv6", default=True,
        help="Look up and dial IPv6 addresses, too.",
    ),
    Option(
        name="proxy", kind=ValueKind.PROXY, group=Group.PROXY, field="proxy", choices=("http", "https"),
        help="The proxy to the control plane. Actions do not use it.",
    ),
    Option(
        name="caFile", kind=ValueKind.CERTIFICATES, group=Group.PROXY, field="ca_file",
        help="Authorities to believe besides the system's, of the control plane and of targets.",
    ),
    Option(
        name="port", kind=ValueKind.INTEGER, group=Group.LOGS, field="port", default=9016, minimum=0, maximum=65_535,
        help="/liveness and /readiness, as existing manifests expect them; in push mode also what pages ask.",
    ),
    Option(
        name="pushHost", kind=ValueKind.ADDRESS, group=Group.INTAKE, field="push_host",
        help="The address of `port` in push mode; probesHost without it.",
    ),
    Option(
        name="publicHosts", kind=ValueKind.TEXT, group=Group.INTAKE, field="public_hosts", many=True, default=(),
        one_or_many=True,
        help="Host headers that pages send, with the port where it is not the scheme's; the host of `runner create --host`"
        " without it. Every other one is refused.",
    ),
    Option(
        name="allowedOrigins", kind=ValueKind.TEXT, group=Group.INTAKE, field="allowed_origins", many=True, default=(),
        one_or_many=True,
        help="Origins of pages that may ask, as https://pages.example; the control plane's without it. Never a pattern.",
    ),
    Option(
        name="tlsCert", kind=ValueKind.TEXT, group=Group.INTAKE, field="tls_cert",
        help="The certificate chain for `port`, PEM, read at the start; not needed behind an ingress that ends TLS.",
    ),
    Option(
        name="tlsKey", kind=ValueKind.TEXT, group=Group.INTAKE, field="tls_key", help="The private key of tlsCert, PEM.",
    ),
    Option(
        name="probesHost", kind=ValueKind.ADDRESS, group=Group.LOGS, field="host", default="127.0.0.1",
        help="The address of both ports. Loopback: figures name connections. Images set 0.0.0.0.",
    ),
    Option(
        name="probesPort", kind=ValueKind.INTEGER, group=Group.LOGS, field="probes_port", default=9017, minimum=0, maximum=65_535,
        help="/liveness, /readiness, /metrics and /status.",
    ),
    Option(
        name="auditLog", kind=ValueKind.TEXT, group=Group.LOGS, field="audit_log",
        help="The file of the audit log, a line when an action is decided and one when it ended. Standard error without it.",
    ),
    Option(
        name="tags", kind=ValueKind.TEXT, group=Group.LOGS, field="tags", many=True, default=(), one_or_many=True,
        help="Words for people about this runner.",
    ),
    Option(
        name="report", kind=ValueKind.CHOICE, group=Group.LOGS, field="report", default="full", choices=("full", "names", "none"),
        help="What the control plane is told of connections and schemas.",
    ),
    Option(
        name="logFormat", kind=ValueKind.CHOICE, group=Group.LOGS, field="log_format", default="pretty",
        choices=("pretty", "json"), help="Lines for people, or JSON.",
    ),
)

UNUSED: tuple[Unused, ...] = (
    Unused(name="DD_API_KEY", why="a runner enrols by a token: `runner token` makes one"),
    Unused(name="DD_APP_KEY", why="a runner enrols by a token: `runner token` makes one"),
    Unused(name="STATSD_ENABLED", why="metrics are for Prometheus, on probesPort"),
)
# fmt: on
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
        wanted = {_MODES[word] for word in found["modes"]}
        found["modes"] = tuple(mode for mode in ("pull", "push") if mode in wanted)
    return RunnerConfig(**{field.name: found[field.name] for field in fields(RunnerConfig)})


def hostname() -> str:
    """The name that this machine gives itself, for people."""
    name = socket.gethostname()[:200]
    return name if name.isprintable() else ""

"""The table of a runner's options: names, kinds, defaults, help. `options` reads them; nothing is read here."""

from __future__ import annotations

from collections.abc import Mapping

from worker.config.option import Group, Option, Unused, ValueKind
from worker.wire.enrolment import Mode

MODES: Mapping[str, Mode] = {"pull": "pull", "workflowAutomation": "pull", "push": "push", "appBuilder": "push"}
"""Modes by their names and the reference system's."""

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
        choices=tuple(MODES), environment=("RUNNER_MODES",),
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

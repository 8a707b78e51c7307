"""The option table. Flags, environment, file, `--help`, the JSON schema and the reference all come from this table.

Names and defaults are the first generation's; names of later generations that mean the same are aliases. An option stands here
only if some part of the worker obeys it. What is published elsewhere and not obeyed here is in UNUSED: accepted, said aloud.
"""

from __future__ import annotations

from worker.config.option import Group, Option, Source, Unused, ValueKind, every_name

DEFAULT_CONFIG = "/etc/datadog/synthetics-check-runner.json"
CERTIFICATES = "/etc/datadog/certs"
"""Directory of which every .pem is trusted besides `caFile`, as the reference system does."""

NOT_BY_FLAG = frozenset({Source.ENVIRONMENT, Source.FILE})
"""Secrets: a command line can be read by every user of the machine."""
NOT_IN_FILE = frozenset({Source.FLAG, Source.ENVIRONMENT})
BY_FLAG = frozenset({Source.FLAG})

# fmt: off
OPTIONS: tuple[Option, ...] = (
    Option(
        name="id", aliases=("locationID",), kind=ValueKind.IDENTIFIER, group=Group.IDENTITY, field="location_id", required=True,
        help="The location that this worker serves; several workers may serve one. No default: it comes with the"
        " generated file.",
    ),
    Option(
        name="accessKey", kind=ValueKind.IDENTIFIER, group=Group.IDENTITY, field="access_key", required=True,
        environment=("DATADOG_ACCESS_KEY",),
        help="Names the secret that requests are signed with, and is not a secret itself. No default: it comes with the generated"
        " file.",
    ),
    Option(
        name="secretAccessKey", kind=ValueKind.SECRET, group=Group.IDENTITY, field="secret_access_key", required=True,
        environment=("DATADOG_SECRET_ACCESS_KEY",), sources=NOT_BY_FLAG,
        help="Signs requests and checks the signatures of replies. No default: it comes with the generated file.",
    ),
    Option(
        name="privateKey", kind=ValueKind.PRIVATE_KEY, group=Group.IDENTITY, field="private_keys", required=True, many=True,
        one_or_many=True, environment=("DATADOG_PRIVATE_KEY",), sources=NOT_BY_FLAG,
        help="Opens the tests that the control plane sends; a PEM text, or a list of them while keys are rotated. No"
        " default: it comes with the generated file.",
    ),
    Option(
        name="publicKey.pem", kind=ValueKind.PUBLIC_KEY, group=Group.IDENTITY, field="public_key", required=True,
        environment=("DATADOG_PUBLIC_KEY_PEM",),
        help="Seals results, so that only the control plane can read them. No default: it comes with the generated file.",
    ),
    Option(
        name="publicKey.fingerprint", kind=ValueKind.TEXT, group=Group.IDENTITY, field="public_key_fingerprint",
        environment=("DATADOG_PUBLIC_KEY_FINGERPRINT",),
        help="The name under which the control plane knows the public key; without it, the key's own SHA-256 is used.",
    ),
    Option(
        name="intakeUrl", kind=ValueKind.URL, group=Group.INTAKE, field="intake_url",
        help="Where tests are pulled from and results pushed to. No default: a wrong one would show the access key to a"
        " stranger.",
    ),
    Option(
        name="datadogHostOverride", kind=ValueKind.HOST, group=Group.INTAKE, environment=("DATADOG_HOST_OVERRIDE",),
        help="The control plane by its host alone: https://HOST. Used where intakeUrl is not given.",
    ),
    Option(
        name="site", kind=ValueKind.HOST, group=Group.INTAKE, environment=("DATADOG_SITE",),
        help="The control plane by its site: https://intake.synthetics.SITE. Used where neither of the two above is"
        " given; no default, for the reason of intakeUrl.",
    ),
    Option(
        name="insecureIntake", kind=ValueKind.BOOLEAN, group=Group.INTAKE, default=False,
        help="Allow a control plane over plain HTTP that is not on this machine. Off: tests and results stay sealed, but who"
        " serves which location, and when, is open to every listener.",
    ),
    Option(
        name="pollInterval", kind=ValueKind.MILLISECONDS, group=Group.INTAKE, field="poll_interval", default=1000, minimum=100,
        maximum=5000,
        help="Time from one pull to the next. At most 5 s, because a location that is not heard of for so long counts as"
        " silent.",
    ),
    Option(
        name="maxNumberMessagesToFetch", kind=ValueKind.INTEGER, group=Group.INTAKE, field="max_number_messages_to_fetch",
        default=10, minimum=1, maximum=1000, environment=("DATADOG_WORKER_MAX_NUMBER_MESSAGES_TO_FETCH",),
        help="Most tests taken by one pull, so that several workers share a burst.",
    ),
    Option(
        name="spoolDirectory", kind=ValueKind.DIRECTORY, group=Group.INTAKE, field="spool_directory", default="",
        help="Directory of the journal, which keeps finished results over the worker's death until the control plane has"
        " them, and of results that it rejects; all encrypted. Empty, the default, keeps them in memory alone: a container's"
        " disk is not kept either.",
    ),
    Option(
        name="concurrency", kind=ValueKind.INTEGER, group=Group.WORK, field="concurrency", default=10, minimum=1, maximum=5000,
        environment=("DATADOG_WORKER_CONCURRENCY",),
        help="Most tests run at the same time by this worker; raise it, or start more workers, when runs are missed.",
    ),
    Option(
        name="maxTimeout", aliases=("apiRequestMaxTimeout",), kind=ValueKind.MILLISECONDS, group=Group.WORK, field="max_timeout",
        default=60_000, minimum=1, maximum=600_000, environment=("DATADOG_TESTS_TIMEOUT",),
        help="Longest time that a test may take, from its look-up to its verdict; a test's own shorter limit holds. A"
        " minute, as tests without a limit of their own expect.",
    ),
    Option(
        name="maxBodySize", aliases=("maxAPIDownloadBodySize",), kind=ValueKind.BYTES, group=Group.WORK, field="max_body_size",
        default=5_000_000, minimum=1, maximum=1_000_000_000,
        help="Largest response body, on the wire and after decompression. Bounds the memory that one target can take.",
    ),
    Option(
        name="maxBodySizeIfProcessed", aliases=("maxAPIBodySizeIfProcessed",), kind=ValueKind.BYTES, group=Group.WORK,
        field="max_body_size_if_processed", default=5_000_000, minimum=1, maximum=1_000_000_000,
        help="Largest response body that an assertion may look at. Bounds what an evaluation can cost.",
    ),
    Option(
        name="redirectHeaders", kind=ValueKind.CHOICE, group=Group.WORK, field="redirect_headers", default="sameHost",
        choices=("sameHost", "all"),
        help="Where a redirect takes the headers that a test sets. sameHost drops them at another host, and from https to"
        " http, because any of them may be a key, but for Accept and its like; all keeps all but Authorization, Cookie and"
        " Host, as earlier versions did.",
    ),
    Option(
        name="userAgent", kind=ValueKind.HEADER_VALUE, group=Group.WORK, field="user_agent",
        help="User-Agent of every test request whose test sets none. By default Synthetics/VERSION, with the worker's version.",
    ),
    Option(
        name="identificationHeaders", kind=ValueKind.HEADER, group=Group.WORK, field="identification_headers", many=True,
        default=("X-Synthetics-Test: {publicId}", "X-Synthetics-Origin: synthetics"),
        help="Headers of every test request, so that firewalls, analytics and traces can tell it; {publicId} is the test's public"
        " id, and a header with it is left out where a test has none. What a test sets itself wins; [] sends none.",
    ),
    Option(
        name="regexTimeout", kind=ValueKind.MILLISECONDS, group=Group.WORK, field="regex_timeout", default=500, minimum=1,
        maximum=60_000,
        help="Longest time that one pattern may run. Half a second ends a runaway pattern before other tests feel it.",
    ),
    Option(
        name="evaluators", kind=ValueKind.INTEGER, group=Group.WORK, field="evaluators", default=2, minimum=1, maximum=64,
        help="Number of processes that evaluate patterns, XPath, schemas and large bodies. Two, so that one runaway"
        " evaluation does not hold up the others.",
    ),
    Option(
        name="drainTimeout", kind=ValueKind.SECONDS, group=Group.WORK, field="drain_timeout", default=65, minimum=0, maximum=3600,
        help="How long running tests may finish after a stop signal; what is cut short is given back. A little more than"
        " the longest test.",
    ),
    Option(
        name="dnsServer", kind=ValueKind.NAMESERVER, group=Group.NAMES, field="dns_servers", many=True,
        default=("8.8.8.8", "1.1.1.1"), environment=("DATADOG_TESTS_DNS_SERVER",),
        help="Servers that look up the names of targets, in this order, the next one on failure; ADDRESS, ADDRESS:PORT"
        " or [ADDRESS]:PORT. Public ones by default: name your own for internal names.",
    ),
    Option(
        name="dnsUseHost", kind=ValueKind.BOOLEAN, group=Group.NAMES, field="dns_use_host", default=False,
        environment=("DATADOG_TESTS_DNS_USE_HOST", "DATADOG_DNS_USE_HOST"),
        help="Ask the host's own resolver first (/etc/resolv.conf with its search domains, /etc/hosts), then dnsServer."
        " Off, as in the first generation.",
    ),
    Option(
        name="enableIPv6", kind=ValueKind.BOOLEAN, group=Group.NAMES, field="enable_ipv6", default=False,
        help="Look up IPv6 addresses of names too. Off, because many networks resolve what they cannot route.",
    ),
    Option(
        name="whitelistedRange.4", aliases=("allowedIPRanges.4",), kind=ValueKind.RANGE_4, group=Group.POLICY,
        field="allow_ranges", many=True, default=(), environment=("DATADOG_ALLOWED_IP_RANGES_4",),
        help="IPv4 ranges that tests may reach whatever else denies them. None by default: internal targets are named on"
        " purpose.",
    ),
    Option(
        name="whitelistedRange.6", aliases=("allowedIPRanges.6",), kind=ValueKind.RANGE_6, group=Group.POLICY,
        field="allow_ranges", many=True, default=(), environment=("DATADOG_ALLOWED_IP_RANGES_6",),
        help="IPv6 ranges that tests may reach whatever else denies them. None by default: internal targets are named on"
        " purpose.",
    ),
    Option(
        name="blacklistedRange.4", aliases=("blockedIPRanges.4",), abbreviations=("blacklisted.4",), kind=ValueKind.RANGE_4,
        group=Group.POLICY, field="deny_ranges", many=True, default=(), environment=("DATADOG_BLOCKED_IP_RANGES_4",),
        help="IPv4 ranges that tests may not reach, besides the special-purpose ones. None by default.",
    ),
    Option(
        name="blacklistedRange.6", aliases=("blockedIPRanges.6",), abbreviations=("blacklisted.6",), kind=ValueKind.RANGE_6,
        group=Group.POLICY, field="deny_ranges", many=True, default=(), environment=("DATADOG_BLOCKED_IP_RANGES_6",),
        help="IPv6 ranges that tests may not reach, besides the special-purpose ones. None by default.",
    ),
    Option(
        name="enableDefaultBlockedIpRanges", kind=ValueKind.BOOLEAN, group=Group.POLICY, field="enable_default_blocked_ip_ranges",
        default=True,
        help="Deny the special-purpose ranges of the IANA registries (private, loopback, link-local, …). On, so that a"
        " test cannot explore the network that the worker stands in.",
    ),
    Option(
        name="allowedDomainNames", kind=ValueKind.DOMAIN, group=Group.POLICY, field="allowed_domain_names", many=True, default=(),
        environment=("DATADOG_ALLOWED_DOMAIN_NAMES",),
        help="Exceptions to blockedDomainNames: globs of host names that tests may use although they are blocked. They forbid"
        ' nothing by themselves: for these names and no others, block "*" as well. Their addresses are judged all the same.'
        " None by default.",
    ),
    Option(
        name="blockedDomainNames", kind=ValueKind.DOMAIN, group=Group.POLICY, field="blocked_domain_names", many=True, default=(),
        environment=("DATADOG_BLOCKED_DOMAIN_NAMES",),
        help="Globs of host names that tests may not use; such a name is not even looked up. None by default.",
    ),
    Option(
        name="nat64Prefixes", kind=ValueKind.NAT64_PREFIX, group=Group.POLICY, field="nat64_prefixes", many=True, default=(),
        help="Your network's own NAT64 prefixes (RFC 6052): an IPv6 address inside one is judged by the IPv4 address it"
        " holds, too. The well-known prefix needs no mention.",
    ),
    Option(
        name="proxy", aliases=("proxyDatadog",), kind=ValueKind.PROXY, group=Group.PROXY, field="proxy",
        choices=("http", "https"), environment=("DATADOG_WORKER_PROXY",),
        help="Proxy between worker and control plane, http://USER:PASSWORD@HOST:PORT. None by default; the environment's"
        " HTTP_PROXY is not obeyed.",
    ),
    Option(
        name="proxyTestRequests", kind=ValueKind.PROXY, group=Group.PROXY, field="proxy_test_requests",
        choices=("http", "https", "socks5"), environment=("DATADOG_TESTS_PROXY",),
        help="Proxy between worker and targets, http, https or socks5. None by default.",
    ),
    Option(
        name="proxyTestRequestsBypassList", kind=ValueKind.DOMAIN, group=Group.PROXY, field="proxy_test_requests_bypass_list",
        many=True, default=(),
        help="Globs of the hosts that are reached without proxyTestRequests. None by default.",
    ),
    Option(
        name="proxyResolve", kind=ValueKind.CHOICE, group=Group.PROXY, field="proxy_resolve", default="worker",
        choices=("worker", "proxy"),
        help="Who looks up targets that are reached through proxyTestRequests: the worker, which can then judge the"
        " address, or the proxy, which then is the boundary.",
    ),
    Option(
        name="proxyIgnoreSSLErrors", kind=ValueKind.BOOLEAN, group=Group.PROXY, field="proxy_ignore_ssl_errors", default=False,
        environment=("DATADOG_TESTS_PROXY_IGNORE_SSL_ERRORS",),
        help="Do not check the certificates of a proxy, and of the control plane behind a proxy that opens TLS; targets"
        " are checked all the same. Off: trust your proxy's CA with caFile instead.",
    ),
    Option(
        name="caFile", kind=ValueKind.CERTIFICATES, group=Group.PROXY, field="ca_files",
        help="PEM file of CAs that are trusted besides the system's, for targets and control plane; so is every .pem in"
        f" {CERTIFICATES}. None by default.",
    ),
    Option(
        name="logFormat", kind=ValueKind.CHOICE, group=Group.LOGS, field="log_format", default="pretty", short="f",
        choices=("pretty", "json"), environment=("DATADOG_WORKER_LOG_FORMAT",),
        help="pretty is for people; json is one object a line, for collectors.",
    ),
    Option(
        name="verbosity", kind=ValueKind.INTEGER, group=Group.LOGS, field="verbosity", default=3, minimum=1, maximum=4, short="v",
        environment=("DATADOG_WORKER_LOG_VERBOSITY",),
        help="1 errors, 2 and warnings, 3 and what the worker does, 4 and every detail; -v, -vv, -vvv, -vvvv mean 1 to"
        " 4.",
    ),
    Option(
        name="livenessFile", kind=ValueKind.PATH, group=Group.LOGS, field="liveness_file", default="/tmp/liveness.date",  # noqa: S108
        help="File that is given the time in epoch milliseconds every second while the worker makes progress; empty"
        " writes none. Only a regular file is replaced. The default is where existing probes look.",
    ),
    Option(
        name="enableStatusProbes", kind=ValueKind.BOOLEAN, group=Group.LOGS, field="enable_status_probes", default=False,
        environment=("DATADOG_WORKER_ENABLE_STATUS_PROBES",),
        help="Serve /liveness, /readiness and /metrics over HTTP. Off, so that nothing listens unasked.",
    ),
    Option(
        name="statusProbesHost", kind=ValueKind.ADDRESS, group=Group.LOGS, field="status_probes_host", default="127.0.0.1",
        help="Address that the status probes listen on. This machine only; Kubernetes needs 0.0.0.0 or ::.",
    ),
    Option(
        name="statusProbesPort", kind=ValueKind.INTEGER, group=Group.LOGS, field="status_probes_port", default=8080, minimum=0,
        maximum=65_535, environment=("DATADOG_WORKER_STATUS_PROBES_PORT",),
        help="Port that the status probes listen on; 0 takes a free one and logs it.",
    ),
    Option(
        name="config", kind=ValueKind.FILE, group=Group.COMMAND, default=DEFAULT_CONFIG, sources=NOT_IN_FILE,
        help="The config file, a JSON object of these options. It need not exist at the default place.",
    ),
    Option(
        name="json", kind=ValueKind.BOOLEAN, group=Group.COMMAND, default=False, sources=BY_FLAG,
        help="With check, validate, policy, doctor and spool list: one JSON object a line instead of text.",
    ),
    Option(
        name="failuresOnly", abbreviations=("failures-only", "failed-only"), kind=ValueKind.BOOLEAN, group=Group.COMMAND,
        default=False, sources=BY_FLAG,
        help="With check: print no result of a test that passed.",
    ),
    Option(
        name="junit", kind=ValueKind.PATH, group=Group.COMMAND, sources=BY_FLAG,
        help="With check: write a JUnit file there in the end; - is standard output, and what is for people goes to standard"
        " error.",
    ),
    Option(
        name="variable", kind=ValueKind.TEXT, group=Group.COMMAND, sources=BY_FLAG, many=True,
        help="With check: a variable for the tests, as NAME=VALUE; NAME alone takes the value of the environment variable NAME,"
        " and keeps it out of results.",
    ),
    Option(
        name="variables", kind=ValueKind.FILE, group=Group.COMMAND, sources=BY_FLAG,
        help="With check: variables from a JSON object of names, each with its text or {value, secure, totp}.",
    ),
    Option(
        name="github", kind=ValueKind.BOOLEAN, group=Group.COMMAND, default=False, sources=BY_FLAG,
        help="With check: print annotations of GitHub Actions for what failed, and let it obey nothing else that is printed.",
    ),
    Option(
        name="trace", kind=ValueKind.BOOLEAN, group=Group.COMMAND, default=False, sources=BY_FLAG,
        help="With check: run one test after the other, and print what each does on the network, line by line: time, step,"
        " address, rule, bytes.",
    ),
    Option(
        name="watch", kind=ValueKind.BOOLEAN, group=Group.COMMAND, default=False, sources=BY_FLAG,
        help="With check: run again whenever one of the files changes, until Ctrl-C.",
    ),
    Option(
        name="allowUpdate", abbreviations=("allow-update",), kind=ValueKind.BOOLEAN, group=Group.COMMAND, default=False,
        sources=BY_FLAG,
        help="With validate: exit 0 although a definition holds what only a newer version may know. Off: a misspelt word looks"
        " the same.",
    ),
    Option(
        name="dumpConfig", kind=ValueKind.BOOLEAN, group=Group.COMMAND, default=False, sources=BY_FLAG,
        help="Print every option's effective value without secrets, and where it came from; then stop.",
    ),
    Option(
        name="version", kind=ValueKind.BOOLEAN, group=Group.COMMAND, default=False, sources=BY_FLAG,
        help="Print the version; then stop.",
    ),
    Option(
        name="help", kind=ValueKind.BOOLEAN, group=Group.COMMAND, default=False, sources=BY_FLAG, short="h",
        help="Print this; then stop.",
    ),
)
# fmt: on

UNUSED: tuple[Unused, ...] = (
    Unused(name="datadogApiKey", why="only browser tests need it"),
    Unused(name="publicKeysByMainDC", why="results are sealed with publicKey.pem alone"),
    Unused(
        name="proxyEnableConnectTunnel", why="targets behind a proxy are always reached by CONNECT", takes_value=False
    ),
    Unused(name="variableOverride", why="tests get the control plane's variables, and with check those of --variable"),
    Unused(
        name="environmentVariableOverride",
        why="tests get the control plane's variables, and with check those of --variable NAME",
    ),
    Unused(name="disableFipsCompliance", why="there is no FIPS mode", takes_value=False),
    Unused(name="enableFileLogging", why="logs go to standard error", takes_value=False),
    Unused(name="logFileMaxDays", why="logs go to standard error"),
)

NAMES = every_name(OPTIONS)
UNUSED_BY_NAME = {unused.name: unused for unused in UNUSED}

"""The table itself: every name once, every variable once, secrets never by flag, every default a value of its own option."""

from __future__ import annotations

from collections import Counter

import pytest

from worker.config.kinds import meaning
from worker.config.option import CONFIDENTIAL, NUMBERS, Option, Source, ValueKind, variable
from worker.config.options import NAMES, OPTIONS, UNUSED


def test_no_name_and_no_variable_belongs_to_two_options() -> None:
    names = [name for option in OPTIONS for name in (*option.names, *option.abbreviations, option.file_name) if name]
    names += [unused.name for unused in UNUSED]
    variables = [name for option in OPTIONS for name in option.variables]
    shorts = [option.short for option in OPTIONS if option.short]
    for found in (names, variables, shorts):
        assert [name for name, count in Counter(found).items() if count > 1] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("id", "SYNTHETICS_ID"),
        ("locationID", "SYNTHETICS_LOCATION_ID"),
        ("intakeUrl", "SYNTHETICS_INTAKE_URL"),
        ("publicKey.pem", "SYNTHETICS_PUBLIC_KEY_PEM"),
        ("privateKeyFile", "SYNTHETICS_PRIVATE_KEY_FILE"),
        ("enableIPv6", "SYNTHETICS_ENABLE_IPV6"),
        ("whitelistedRange.4", "SYNTHETICS_WHITELISTED_RANGE_4"),
        ("allowedIPRanges.6", "SYNTHETICS_ALLOWED_IP_RANGES_6"),
        ("enableDefaultBlockedIpRanges", "SYNTHETICS_ENABLE_DEFAULT_BLOCKED_IP_RANGES"),
        ("proxyIgnoreSSLErrors", "SYNTHETICS_PROXY_IGNORE_SSL_ERRORS"),
        ("maxAPIDownloadBodySize", "SYNTHETICS_MAX_API_DOWNLOAD_BODY_SIZE"),
        ("nat64Prefixes", "SYNTHETICS_NAT64_PREFIXES"),
        ("dnsUseHost", "SYNTHETICS_DNS_USE_HOST"),
    ],
)
def test_a_variable_is_the_name_in_capitals(name: str, expected: str) -> None:
    assert variable(name) == expected


def test_secrets_are_never_flags_and_have_a_file_of_their_own() -> None:
    secrets = [option for option in OPTIONS if option.kind in (ValueKind.SECRET, ValueKind.PRIVATE_KEY)]
    assert [option.name for option in secrets] == ["secretAccessKey", "privateKey"]
    for option in secrets:
        assert option.sources == {Source.ENVIRONMENT, Source.FILE}
        assert Source.FLAG in NAMES[option.file_name].sources


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_is_declared_soundly(option: Option) -> None:
    assert option.help.endswith(".")
    assert option.help[0].isupper() or option.help.startswith(("pretty", "1 "))
    assert bool(option.choices) == (option.kind in (ValueKind.CHOICE, ValueKind.PROXY))
    assert (option.maximum > option.minimum) == (option.kind in NUMBERS)
    assert bool(option.file_name) == (option.kind in CONFIDENTIAL)
    assert not (option.required and option.default is not None)
    if option.default is not None:
        meaning(option, option.default)
        assert isinstance(option.default, tuple) == option.many


# The names, defaults and variables that are published: an existing file, chart or command line goes on working.
PUBLISHED = {
    "accessKey": "DATADOG_ACCESS_KEY",
    "secretAccessKey": "DATADOG_SECRET_ACCESS_KEY",
    "privateKey": "DATADOG_PRIVATE_KEY",
    "publicKey.pem": "DATADOG_PUBLIC_KEY_PEM",
    "publicKey.fingerprint": "DATADOG_PUBLIC_KEY_FINGERPRINT",
    "site": "DATADOG_SITE",
    "datadogHostOverride": "DATADOG_HOST_OVERRIDE",
    "concurrency": "DATADOG_WORKER_CONCURRENCY",
    "maxNumberMessagesToFetch": "DATADOG_WORKER_MAX_NUMBER_MESSAGES_TO_FETCH",
    "maxTimeout": "DATADOG_TESTS_TIMEOUT",
    "dnsUseHost": "DATADOG_TESTS_DNS_USE_HOST",
    "dnsServer": "DATADOG_TESTS_DNS_SERVER",
    "proxyDatadog": "DATADOG_WORKER_PROXY",
    "proxyTestRequests": "DATADOG_TESTS_PROXY",
    "proxyIgnoreSSLErrors": "DATADOG_TESTS_PROXY_IGNORE_SSL_ERRORS",
    "allowedIPRanges.4": "DATADOG_ALLOWED_IP_RANGES_4",
    "allowedIPRanges.6": "DATADOG_ALLOWED_IP_RANGES_6",
    "blockedIPRanges.4": "DATADOG_BLOCKED_IP_RANGES_4",
    "blockedIPRanges.6": "DATADOG_BLOCKED_IP_RANGES_6",
    "allowedDomainNames": "DATADOG_ALLOWED_DOMAIN_NAMES",
    "blockedDomainNames": "DATADOG_BLOCKED_DOMAIN_NAMES",
    "enableStatusProbes": "DATADOG_WORKER_ENABLE_STATUS_PROBES",
    "statusProbesPort": "DATADOG_WORKER_STATUS_PROBES_PORT",
    "logFormat": "DATADOG_WORKER_LOG_FORMAT",
    "verbosity": "DATADOG_WORKER_LOG_VERBOSITY",
}


@pytest.mark.parametrize(("name", "published"), PUBLISHED.items(), ids=PUBLISHED.keys())
def test_a_published_variable_is_read(name: str, published: str) -> None:
    assert published in NAMES[name].option.variables


KNOWN = """apiRequestMaxTimeout maxAPIDownloadBodySize maxAPIBodySizeIfProcessed regexTimeout proxy locationID maxBodySize
    proxyTestRequestsBypassList enableDefaultBlockedIpRanges enableIPv6 maxBodySizeIfProcessed"""


@pytest.mark.parametrize("name", KNOWN.split())
def test_a_published_name_is_known(name: str) -> None:
    assert name in NAMES


def test_names_of_two_generations_are_one_option() -> None:
    pairs = [
        ("whitelistedRange.4", "allowedIPRanges.4"),
        ("blacklistedRange.6", "blockedIPRanges.6"),
        ("maxTimeout", "apiRequestMaxTimeout"),
        ("maxBodySize", "maxAPIDownloadBodySize"),
        ("maxBodySizeIfProcessed", "maxAPIBodySizeIfProcessed"),
        ("proxy", "proxyDatadog"),
    ]
    for first, later in pairs:
        assert NAMES[first].option is NAMES[later].option

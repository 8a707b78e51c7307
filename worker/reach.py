"""The way to targets as the operator has set it: policy, resolver, proxy and trusted authorities, made from the options.

Whatever can be wrong with these options shows here, as a ConfigError, before anything is asked of the control plane.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from worker.config.load import LocalConfig
from worker.egress.policy import Policy
from worker.errors import ConfigError, PolicyError
from worker.net.proxy import Proxy
from worker.net.trust import TrustStore

if TYPE_CHECKING:
    from worker.net.dns.resolver import Resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """What the operator can have got wrong. *proxy* is the one for test requests."""

    policy: Policy
    proxy: Proxy | None
    trust: TrustStore

    def warnings(self) -> tuple[str, ...]:
        """What an operator should know about these settings before anything goes wrong."""
        return (*self.policy.warnings(), *_boundary(self.proxy))


def egress_of(config: LocalConfig, trust: TrustStore) -> Egress:
    """Raises ConfigError."""
    return Egress(policy=policy_of(config), proxy=_proxy_of(config), trust=trust)


def policy_of(config: LocalConfig) -> Policy:
    """Raises ConfigError."""
    try:
        return Policy.build(
            allow=map(str, config.allow_ranges),
            deny=map(str, config.deny_ranges),
            allow_names=config.allowed_domain_names,
            deny_names=config.blocked_domain_names,
            block_special_purpose=config.enable_default_blocked_ip_ranges,
            nat64_prefixes=map(str, config.nat64_prefixes),
        )
    except PolicyError as error:
        raise ConfigError(str(error), option="egress policy") from error


def resolver_of(config: LocalConfig) -> Resolver:
    """Nothing can be wrong with it, so it is imported only by what looks names up."""
    from worker.net.dns.query import Nameserver
    from worker.net.dns.resolver import Resolver

    servers = [Nameserver(ip_address(address), port) for address, port in config.dns_servers]
    return Resolver(servers, use_host=config.dns_use_host, ipv6=config.enable_ipv6)


def trust_of(config: LocalConfig) -> TrustStore:
    """Reads every authority's certificate, the system's too: tens of milliseconds. Raises ConfigError."""
    try:
        return TrustStore(config.ca_files)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot be read as certificates: {error}", option="caFile") from error


def _proxy_of(config: LocalConfig) -> Proxy | None:
    if config.proxy_test_requests is None:
        return None
    try:
        return Proxy.parse(
            config.proxy_test_requests,
            bypass=config.proxy_test_requests_bypass_list,
            hands_over_names=config.proxy_resolve == "proxy",
            verify=not config.proxy_ignore_ssl_errors,
        )
    except (ValueError, PolicyError) as error:
        raise ConfigError(str(error), option="proxyTestRequests") from error


def _boundary(proxy: Proxy | None) -> tuple[str, ...]:
    if proxy is None or not proxy.hands_over_names:
        return ()
    return (f"proxyResolve=proxy: {proxy} looks names up and is the boundary now; addresses are not judged here",)

"""The way to targets as the operator has set it: policy, resolver, proxy and trusted authorities, made from the options."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from worker.config.load import LocalConfig
from worker.egress.policy import Policy
from worker.egress.proxy import Proxy
from worker.errors import ConfigError
from worker.net.trust import TrustStore

if TYPE_CHECKING:
    from worker.net.dns.resolver import Resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """The policy, the proxy for test requests, and the authorities that are believed."""

    policy: Policy
    proxy: Proxy | None
    trust: TrustStore

    def warnings(self) -> tuple[str, ...]:
        """Sentences that an operator should read before anything goes wrong."""
        return (*self.policy.warnings(), *_boundary(self.proxy))


def egress_of(config: LocalConfig, trust: TrustStore) -> Egress:
    return Egress(policy=policy_of(config), proxy=_proxy_of(config), trust=trust)


def policy_of(config: LocalConfig) -> Policy:
    return Policy.build(
        allow=config.allow_ranges,
        deny=config.deny_ranges,
        allow_names=config.allowed_domain_names,
        deny_names=config.blocked_domain_names,
        block_special_purpose=config.enable_default_blocked_ip_ranges,
        nat64_prefixes=config.nat64_prefixes,
    )


def resolver_of(config: LocalConfig) -> Resolver:
    """Import the resolver only where names are looked up."""
    from worker.net.dns.resolver import Resolver

    return Resolver(config.dns_servers, use_host=config.dns_use_host, ipv6=config.enable_ipv6)


def trust_of(config: LocalConfig) -> TrustStore:
    """Read every authority's certificate, the system's too: tens of milliseconds. Raises ConfigError."""
    try:
        return TrustStore(config.ca_files)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot be read as certificates: {error}", option="caFile") from error


def _proxy_of(config: LocalConfig) -> Proxy | None:
    if config.proxy_test_requests is None:
        return None
    return replace(
        config.proxy_test_requests,
        bypass=config.proxy_test_requests_bypass_list,
        hands_over_names=config.proxy_resolve == "proxy",
        verify=not config.proxy_ignore_ssl_errors,
    )


def _boundary(proxy: Proxy | None) -> tuple[str, ...]:
    if proxy is None or not proxy.hands_over_names:
        return ()
    return (f"proxyResolve=proxy: {proxy} looks names up and is the boundary now; addresses are not judged here",)

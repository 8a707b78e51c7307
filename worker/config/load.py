"""The worker's configuration: one frozen value, made once from flags, environment and file, and never changed.

The only reader of the environment. `load` wants an identity and a control plane; `load_local` is for the commands that run
tests here and need neither. Both check everything that was given, and report all mistakes at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import urlsplit

from msgspec.structs import replace

from worker.config import kinds
from worker.config.merge import Merged, Setting, merge
from worker.config.mistake import Mistake
from worker.config.options import CERTIFICATES, NAMES
from worker.egress.address_table import Network
from worker.egress.hosts import is_private_way
from worker.egress.nameserver import Nameserver
from worker.egress.proxy import Proxy
from worker.egress.rules import Glob
from worker.errors import ConfigError, ConfigErrors, EnvelopeError
from worker.secret import Secret
from worker.text import quoted
from worker.wire.keys import PrivateKey, PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalConfig:
    """Settings that running a test here takes. Durations in seconds, sizes in bytes."""

    concurrency: int
    max_timeout: float
    max_body_size: int
    max_body_size_if_processed: int
    redirect_headers: Literal["sameHost", "all"]
    user_agent: str | None
    identification_headers: tuple[tuple[str, str], ...]
    regex_timeout: float
    evaluators: int
    dns_servers: tuple[Nameserver, ...]
    dns_use_host: bool
    enable_ipv6: bool
    allow_ranges: tuple[Network, ...]
    deny_ranges: tuple[Network, ...]
    enable_default_blocked_ip_ranges: bool
    allowed_domain_names: tuple[Glob, ...]
    blocked_domain_names: tuple[Glob, ...]
    nat64_prefixes: tuple[IPv6Network, ...]
    proxy_test_requests: Proxy | None
    proxy_test_requests_bypass_list: tuple[Glob, ...]
    proxy_resolve: Literal["worker", "proxy"]
    proxy_ignore_ssl_errors: bool
    ca_files: tuple[Path, ...]
    log_format: Literal["pretty", "json"]
    verbosity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(LocalConfig):
    """Settings that serving a location takes besides: who the worker is, its control plane, its cadence and its probes."""

    location_id: str
    access_key: str
    secret_access_key: Secret[str]
    private_keys: tuple[PrivateKey, ...]
    public_key: PublicKey
    intake_url: str
    proxy: Proxy | None
    poll_interval: float
    max_number_messages_to_fetch: int
    spool_directory: Path | None
    drain_timeout: float
    liveness_file: Path | None
    enable_status_probes: bool
    status_probes_host: str
    status_probes_port: int


C_co = TypeVar("C_co", bound=LocalConfig, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[C_co]):
    """A config, the origin of each setting in the order of the table, and warnings to be logged once logs are set up."""

    config: C_co
    settings: tuple[Setting, ...]
    warnings: tuple[str, ...]


def load(
    argv: Sequence[str], environ: Mapping[str, str] = os.environ, *, certificates: str = CERTIFICATES
) -> Loaded[Config]:
    """Read everything that `run` needs. *argv* is without the program's name. Raises ConfigErrors, one line per mistake."""
    merged = merge(argv, environ)
    settings, mistakes = _across_options(merged, certificates)
    _raise((*merged.mistakes, *mistakes, *_missing(merged, settings)))
    config = Config(**_values(Config, settings))
    warnings = (*merged.warnings, *_ignored_proxies(config, environ))
    return Loaded(config=config, settings=tuple(settings.values()), warnings=warnings)


def load_local(
    argv: Sequence[str], environ: Mapping[str, str] = os.environ, *, certificates: str = CERTIFICATES
) -> Loaded[LocalConfig]:
    """Read what `check` and `policy` need: as `load`, but identity and control plane may be missing. Raises ConfigErrors."""
    merged = merge(argv, environ)
    settings, mistakes = _across_options(merged, certificates)
    _raise((*merged.mistakes, *mistakes))
    config = LocalConfig(**_values(LocalConfig, settings))
    return Loaded(config=config, settings=tuple(settings.values()), warnings=merged.warnings)


def _raise(mistakes: Sequence[ConfigError]) -> None:
    if mistakes:
        raise ConfigErrors(mistakes)


def _across_options(merged: Merged, certificates: str) -> tuple[dict[str, Setting], list[ConfigError]]:
    """The rules between options: which one names the control plane, what the public key is called, which CAs are trusted."""
    found, mistakes = _certificates(merged.settings["caFile"], certificates)
    settings = dict(merged.settings) | found
    for rule in (_intake, _public_key):
        try:
            settings |= rule(settings)
        except ConfigError as mistake:
            mistakes.append(mistake)
    return settings, mistakes


def _intake(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """Choose intakeUrl, else https://<datadogHostOverride>, else https://intake.synthetics.<site>; plain HTTP to this machine."""
    url, host, site = (settings[name] for name in ("intakeUrl", "datadogHostOverride", "site"))
    if url.value is None and host.value is not None:
        url = replace(url, value=f"https://{host.value}", place=f"datadogHostOverride, {host.place}")
    elif url.value is None and site.value is not None:
        url = replace(url, value=f"https://intake.synthetics.{site.value}", place=f"site, {site.place}")
    elif url.value is not None and not settings["insecureIntake"].value and not is_private_way(url.value):
        reason = "plain HTTP to another machine needs insecureIntake"
        raise ConfigError(reason, option="intakeUrl", place=url.place)
    return {"intakeUrl": url}


def _public_key(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """A fingerprint of a foreign control plane is the key's name, verbatim."""
    key, fingerprint = settings["publicKey.pem"], settings["publicKey.fingerprint"]
    if key.value is None or fingerprint.value is None:
        return {}
    try:
        return {"publicKey.pem": replace(key, value=PublicKey.from_pem(key.value.pem, fingerprint.value))}
    except EnvelopeError as error:
        raise ConfigError(str(error), option="publicKey.fingerprint", place=fingerprint.place) from None


def _certificates(given: Setting, directory: str) -> tuple[dict[str, Setting], list[ConfigError]]:
    """Add every .pem of the directory to caFile; a mistake names the file."""
    named = () if given.value is None else (given.value,)
    found: list[Path] = []
    mistakes: list[ConfigError] = []
    for path in sorted(Path(directory).glob("*.pem")):
        try:
            found.append(kinds.certificates(str(path)))
        except Mistake as mistake:
            mistakes.append(ConfigError(str(mistake), option="caFile", place=f"directory {directory}"))
    places = (given.place, f"directory {directory}" if found else "")
    setting = replace(given, value=(*named, *found), place=", ".join(filter(None, places)))
    return {"caFile": setting}, mistakes


def _ignored_proxies(config: Config, environ: Mapping[str, str]) -> tuple[str, ...]:
    """A warning of the environment's proxy, which most programs obey and a worker does not."""
    scheme = urlsplit(config.intake_url).scheme
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    found = next((name for name in names if environ.get(name, "").strip()), None)
    if found is None or config.proxy is not None:
        return ()
    reason = "where the control plane is reached through that proxy only, give it by proxy (SYNTHETICS_PROXY)"
    return (f"{found} is not obeyed: {reason}, and that of test requests by proxyTestRequests",)


def _missing(merged: Merged, settings: Mapping[str, Setting]) -> Sequence[ConfigError]:
    """One mistake for each required option that nobody gave, and did not try to give; they may all be in a file not read."""
    if any(mistake.option == "config" for mistake in merged.mistakes):
        return ()
    tried = {NAMES[mistake.option].option.name for mistake in merged.mistakes if mistake.option in NAMES}
    lacking = [
        setting.option
        for setting in settings.values()
        if setting.option.required and setting.value in (None, ()) and setting.option.name not in tried
    ]
    mistakes = [
        ConfigError(f"is missing: set it in the config file or by {option.variables[0]}", option=option.name)
        for option in lacking
    ]
    if settings["intakeUrl"].value is None and not tried & {"intakeUrl", "datadogHostOverride", "site"}:
        reason = "is missing: say where the control plane is, by intakeUrl, datadogHostOverride or site"
        mistakes.append(ConfigError(reason, option="intakeUrl"))
    if mistakes and merged.config_absent:
        mistakes.insert(0, ConfigError(f"there is no file {quoted(merged.config)}", option="config"))
    return mistakes


def _values(kind: type[LocalConfig], settings: Mapping[str, Setting]) -> dict[str, Any]:
    """The value of each field of *kind*. Two options of one field are lists and are joined."""
    values: dict[str, Any] = {}
    for setting in settings.values():
        name = setting.option.field
        if name:
            values[name] = values[name] + setting.value if name in values else setting.value
    return {field.name: values[field.name] for field in fields(kind)}

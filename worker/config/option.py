"""The declaration of an option: names, kind, sources, group, help. `options` holds the table; no single option is known here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import MappingProxyType


class Source(Enum):
    """Sources of a value, the strongest first."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"


class Group(Enum):
    """The sections of `--help` and of the reference, in this order."""

    IDENTITY = "Identity and keys"
    INTAKE = "Control plane"
    WORK = "Work and limits"
    NAMES = "Looking up names"
    POLICY = "Egress policy"
    PROXY = "Proxies and trust"
    LOGS = "Logs and health"
    COMMAND = "This command"


class ValueKind(Enum):
    """The meaning of one value (or one member of a list); `kinds` reads each."""

    ADDRESS = "IP address"
    BOOLEAN = "boolean"
    BYTES = "bytes"
    CERTIFICATES = "PEM file"
    CHOICE = "choice"
    DIRECTORY = "directory"
    DOMAIN = "domain glob"
    FILE = "file"
    HEADER = "header"
    HEADER_VALUE = "header value"
    HOST = "host"
    IDENTIFIER = "identifier"
    INTEGER = "integer"
    MILLISECONDS = "milliseconds"
    NAT64_PREFIX = "NAT64 prefix"
    PATH = "path"
    PRIVATE_KEY = "private key"
    PROXY = "proxy URL"
    PUBLIC_KEY = "public key"
    RANGE_4 = "IPv4 range"
    RANGE_6 = "IPv6 range"
    NAMESERVER = "DNS server"
    SECONDS = "seconds"
    SECRET = "secret"  # noqa: S105  # a kind of value, not a value
    TEXT = "text"
    URL = "URL"


NUMBERS = frozenset({ValueKind.BYTES, ValueKind.INTEGER, ValueKind.MILLISECONDS, ValueKind.SECONDS})
"""Kinds that are written as a whole number."""

CONFIDENTIAL = frozenset({ValueKind.PRIVATE_KEY, ValueKind.PROXY, ValueKind.SECRET})
"""Kinds that are, or may hold, a secret: never printed, and readable from a file of their own (`…File`)."""

Written = bool | int | str | tuple[str, ...]
"""A value as a person writes it, once text and JSON have been told apart: what defaults are declared in."""

EVERYWHERE = frozenset(Source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option. *help* is one sentence with the reason of the default.

    *name* is the first generation's, *aliases* are other generations' and mean exactly the same. *environment* holds the
    published variables; every name also has a SYNTHETICS_ variable. *abbreviations* are flag spellings of *name* itself, so that
    they continue its list. *field* is the field of Config that the value fills ("" for what a command itself obeys); two
    options that fill one field are lists, and are joined. *default* is as a person would write it; None means there is none.
    *minimum* and *maximum* bound numbers, *choices* are a choice's values or a proxy's schemes.
    """

    name: str
    kind: ValueKind
    group: Group
    help: str
    field: str = ""
    default: Written | None = None
    many: bool = False
    one_or_many: bool = False
    required: bool = False
    aliases: tuple[str, ...] = ()
    abbreviations: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    short: str = ""
    minimum: int = 0
    maximum: int = 0
    choices: tuple[str, ...] = ()
    sources: frozenset[Source] = EVERYWHERE

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    @property
    def confidential(self) -> bool:
        return self.kind in CONFIDENTIAL

    @property
    def file_name(self) -> str:
        """The name that gives a path to the value instead of the value (mounted secrets); "" if there is none."""
        return f"{self.name}File" if self.confidential else ""

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables of the value itself, ours first."""
        if Source.ENVIRONMENT not in self.sources:
            return ()
        return (*(variable(name) for name in self.names), *self.environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionName:
    """One of the names under which an option can be given. *of_file*: the value is a path to the value."""

    text: str
    option: Option
    of_file: bool = False

    @property
    def sources(self) -> frozenset[Source]:
        return EVERYWHERE if self.of_file else self.option.sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """A published option that is accepted, so that an existing file starts a worker, and not obeyed. *why* is said aloud."""

    name: str
    why: str
    takes_value: bool = True


@cache
def variable(name: str) -> str:
    """The SYNTHETICS_ variable of a camelCase, possibly dotted, name.

    >>> variable("enableIPv6"), variable("whitelistedRange.4"), variable("maxAPIBodySizeIfProcessed")
    ('SYNTHETICS_ENABLE_IPV6', 'SYNTHETICS_WHITELISTED_RANGE_4', 'SYNTHETICS_MAX_API_BODY_SIZE_IF_PROCESSED')
    """
    words = name.replace("IPv6", "Ipv6").replace(".", "_")
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words)
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", words)
    return f"SYNTHETICS_{words.upper()}"


def every_name(options: tuple[Option, ...]) -> Mapping[str, OptionName]:
    """Each name to its option: primary, aliases and `…File` names. Abbreviations are flags' own and are not here."""
    names = [OptionName(text=text, option=option) for option in options for text in option.names]
    names += [OptionName(text=option.file_name, option=option, of_file=True) for option in options if option.file_name]
    table = {name.text: name for name in names}
    assert len(table) == len(names), "two options share a name"
    return MappingProxyType(table)

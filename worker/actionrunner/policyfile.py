"""The reader of `policy.yaml` and of `actionsAllowlist`. A rule that could be misread is refused, never repaired."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from worker.actionrunner.globs import PartGlob, part_glob
from worker.actionrunner.localpolicy import Between, FieldCondition, LocalPolicy, LocalRule, OneOf, Rate, URLParts
from worker.actionrunner.yamlfile import OperatorsFile, YAMLPlace
from worker.actions.action import Action
from worker.actions.catalogue import CATALOGUE
from worker.egress.hosts import canonical_name
from worker.errors import ConfigError
from worker.schemas.schema import closed
from worker.wire.actionwords import PROGRAMS, plain_name

CLIENTS: Final = ("cli", "api", "hook", "test", "app")
MAX_RULES: Final = 1000
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([smhd])")

_TEXTS: Final = {"type": "array", "minItems": 1, "maxItems": 1000, "items": {"type": "string", "minLength": 1}}
_URL: Final = closed(
    {
        "schemes": {"type": "array", "minItems": 1, "items": {"enum": ["http", "https"]}},
        "hosts": _TEXTS,
        "ports": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1, "maximum": 65_535}},
        "paths": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": r"^/[^?#\\]*$"}},
    }
)
_RULE: Final = closed(
    {
        "name": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$"},
        "allow": {"type": "string", "minLength": 1},
        "deny": {"type": "string", "minLength": 1},
        "connections": _TEXTS,
        "clients": {"type": "array", "minItems": 1, "items": {"enum": [*CLIENTS]}},
        "callers": _TEXTS,
        "when": {"type": "object", "minProperties": 1},
        "rate": closed(
            {
                "max": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
                "per": {"type": "string", "pattern": r"^[1-9][0-9]{0,4}[smhd]$"},
                "by": _TEXTS,
            },
            "max",
            "per",
        ),
        "concurrency": {"type": "integer", "minimum": 1, "maximum": 1000},
    },
    "name",
)
_POLICY: Final = closed({"rules": {"type": "array", "maxItems": MAX_RULES, "items": {"type": "object"}}}, "rules")


def policy_of(file: OperatorsFile) -> LocalPolicy:
    """Raises ConfigError for the first mistake, with its line."""
    file.require(_POLICY, (), {} if file.data is None else file.data)
    rules = tuple(_rule(file, index, written) for index, written in enumerate(file.data["rules"]))
    names = [rule.name for rule in rules]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise file.mistake(f"another rule has the name {name!r}", ("rules", index, "name"))
    return LocalPolicy(rules)


def allow_list(names: Sequence[str], option: str = "actionsAllowlist") -> LocalPolicy:
    """The rules of an allow list as the reference system reads it: `*` covers the actions of one bundle, and who may use a
    bundle may test its connections. Raises ConfigError.
    """
    return LocalPolicy(tuple(_listed(names, option)))


def warnings_of(policy: LocalPolicy, connections: Sequence[str]) -> Iterator[str]:
    """Rules that can never match, one sentence each."""
    for rule in policy.rules:
        if rule.connections is not None and not any(
            glob.matches(name) for glob in rule.connections for name in connections
        ):
            yield f"the rule {rule.name} ({rule.place}) can never match: it is about connections that are not there"


def _listed(names: Sequence[str], option: str) -> Iterator[LocalRule]:
    bundles = set()
    for name in names:
        glob = part_glob(plain_name(name), ".")
        covered = [action for action in CATALOGUE.values() if glob.matches(action.name)]
        if not covered:
            raise ConfigError(f"{name!r} is not a valid name of an action, nor of a bundle with `.*`", option=option)
        bundles |= {action.name.rpartition(".")[0] for action in covered}
        yield LocalRule(name=f"{option}:{name}", place=option, allows=True, action=glob)
    for bundle in sorted(bundles):
        if f"{bundle}.testConnection" in CATALOGUE:
            glob = part_glob(f"{bundle}.testConnection", ".")
            yield LocalRule(name=f"{option}:{glob}", place=option, allows=True, action=glob)


def _rule(file: OperatorsFile, index: int, written: Mapping[str, Any]) -> LocalRule:
    at: YAMLPlace = ("rules", index)
    file.require(_RULE, at, written)
    if ("allow" in written) == ("deny" in written):
        raise file.mistake("a rule has either `allow` or `deny`", at)
    verb = "allow" if "allow" in written else "deny"
    action = _glob(file, (*at, verb), plain_name(written[verb]), ".")
    covered = [known for known in CATALOGUE.values() if action.matches(known.name)]
    if not covered:
        raise file.mistake(f"{written[verb]!r} is not a valid name of an action, and matches none", (*at, verb))
    when = written.get("when", {})
    return LocalRule(
        name=written["name"],
        place=file.place(at),
        allows=verb == "allow",
        action=action,
        connections=_globs(file, (*at, "connections"), written.get("connections"), "/"),
        clients=tuple(written["clients"]) if "clients" in written else None,
        callers=_globs(file, (*at, "callers"), written.get("callers"), "/"),
        when=tuple((field, _condition(file, (*at, "when", field), when[field], covered)) for field in when),
        rate=_rate(file, (*at, "rate"), written.get("rate"), covered),
        concurrency=written.get("concurrency"),
    )


def _condition(file: OperatorsFile, at: YAMLPlace, written: Any, covered: Sequence[Action]) -> FieldCondition:
    field = str(at[-1])
    _require_field(file, at, field, covered)
    if any(field in PROGRAMS.get(action.name, ()) for action in covered):
        raise file.mistake("no condition can say what a program in this field does: name the queries instead", at)
    if field == "url":
        file.require(_URL, at, written)
        return _url(file, at, written)
    if isinstance(written, list):
        file.require(_TEXTS, at, written)
        return OneOf(globs=_globs(file, at, written, "/") or ())
    if isinstance(written, dict) and set(written) == {"one_of"} and isinstance(written["one_of"], list):
        return OneOf(values=tuple(written["one_of"]))
    if isinstance(written, dict) and written and set(written) <= {"min", "max"}:
        number = {"type": "number"}
        file.require(closed({"min": number, "max": number}), at, written)
        return Between(least=written.get("min"), most=written.get("max"))
    raise file.mistake("is not a valid condition: a list of globs, {min, max} or {one_of}", at)


def _url(file: OperatorsFile, at: YAMLPlace, written: Mapping[str, Any]) -> URLParts:
    if not written:
        raise file.mistake("a condition on a url has schemes, hosts, ports or paths", at)
    hosts = written.get("hosts")
    if hosts is not None:
        try:
            hosts = [host if "*" in host else canonical_name(host.strip("[]")) for host in map(str.lower, hosts)]
        except UnicodeError:
            raise file.mistake("is not a valid host name", (*at, "hosts")) from None
    return URLParts(
        schemes=tuple(written["schemes"]) if "schemes" in written else None,
        hosts=_globs(file, (*at, "hosts"), hosts, "."),
        ports=tuple(written["ports"]) if "ports" in written else None,
        paths=_globs(file, (*at, "paths"), written.get("paths"), "/"),
    )


def _rate(file: OperatorsFile, at: YAMLPlace, written: Any, covered: Sequence[Action]) -> Rate | None:
    if written is None:
        return None
    for index, field in enumerate(written.get("by", ())):
        _require_field(file, (*at, "by", index), field, covered)
    match = _DURATION.fullmatch(written["per"])
    assert match is not None
    seconds = float(match[1]) * _SECONDS[match[2]]
    return Rate(most=written["max"], seconds=seconds, by=tuple(written.get("by", ())))


def _require_field(file: OperatorsFile, at: YAMLPlace, field: str, covered: Sequence[Action]) -> None:
    if not any(_has(action, field) for action in covered):
        names = ", ".join(action.name for action in covered)
        raise file.mistake(f"{field!r} is not a valid field of {names}", at)


def _has(action: Action, field: str) -> bool:
    """True where the input of *action* has *field*; below a member that is open, every name may be there."""
    first, _, rest = field.partition(".")
    member = action.input_schema.get("properties", {}).get(first)
    return member is not None and (not rest or "properties" not in member)


def _globs(
    file: OperatorsFile, at: YAMLPlace, written: Sequence[str] | None, separator: str
) -> tuple[PartGlob, ...] | None:
    if written is None:
        return None
    return tuple(_glob(file, (*at, index), text, separator) for index, text in enumerate(written))


def _glob(file: OperatorsFile, at: YAMLPlace, text: str, separator: str) -> PartGlob:
    try:
        return part_glob(text, separator)
    except ValueError as error:
        raise file.mistake(f"{text!r} is not a valid glob: {error}", at) from None

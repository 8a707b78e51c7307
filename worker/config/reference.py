"""The option table in three forms: `--help`, the JSON schema of the config file, and the reference of the docs. Pure text."""

from __future__ import annotations

import json
from typing import Any

import click

from worker.config.option import NUMBERS, Group, Option, Source, ValueKind, Written
from worker.config.options import DEFAULT_CONFIG, OPTIONS, UNUSED
from worker.config.sources import SCHEMA_KEY

MIN_WIDTH, MAX_WIDTH = 80, 120
"""Columns of `--help`: below the first, names break in two, beyond the second lines are too long to read."""
TERM_WIDTH = 30
"""Columns that every option's term fills at least, so that the descriptions of all groups stand below each other."""

USAGE = "[run | check FILE… | validate FILE… | policy HOST… | doctor | spool list|push|drop DIRECTORY] [OPTIONS]"
ABOUT = (
    "Runs API tests inside a private network: pulls them from a control plane, runs them, and pushes the results."
    " It opens no port unless told to, and reaches only what its egress policy allows."
)
COMMANDS = (
    ("run", "Serve a location until a signal. What happens when no command is given."),
    ("check FILE…", "Run API-test definitions once, here, under the same options and policy, without a control plane."),
    ("validate FILE…", "Read API-test definitions and say what is wrong with them; run nothing."),
    (
        "policy HOST…",
        "Look hosts up and say of each address whether a test may reach it, by which rule, and what would change that.",
    ),
    (
        "doctor",
        "Try what a worker needs, from its config to a signed pull, and say what is right, what is not, and the cure.",
    ),
    (
        "spool list|push|drop DIRECTORY",
        "Show, deliver or delete what workers left in their spoolDirectory; never what a living worker has there.",
    ),
)
FORMS = (
    "A flag stands before or after the command, as --name=VALUE or --name VALUE. Options marked with … take several values:"
    " repeat the flag, or give it a JSON list. Every option can also be set by an environment variable, SYNTHETICS_ and the"
    f" name in capitals (--maxTimeout: SYNTHETICS_MAX_TIMEOUT), and by its name in the config file, {DEFAULT_CONFIG}."
    " A flag wins over the environment, and that over the file."
)
CODES = (
    "Exit codes: 0 done or drained, 1 a test failed, something is not well, or a bug, 2 wrong options or input, 130 the second"
    " Ctrl-C."
)

_WORDS = {
    ValueKind.ADDRESS: "ADDRESS",
    ValueKind.BYTES: "BYTES",
    ValueKind.CERTIFICATES: "FILE",
    ValueKind.DIRECTORY: "DIRECTORY",
    ValueKind.DOMAIN: "GLOB",
    ValueKind.FILE: "FILE",
    ValueKind.HEADER: "'NAME: VALUE'",
    ValueKind.HEADER_VALUE: "TEXT",
    ValueKind.HOST: "HOST",
    ValueKind.IDENTIFIER: "TEXT",
    ValueKind.INTEGER: "NUMBER",
    ValueKind.MILLISECONDS: "MS",
    ValueKind.NAT64_PREFIX: "PREFIX",
    ValueKind.PATH: "FILE",
    ValueKind.PROXY: "URL",
    ValueKind.PUBLIC_KEY: "PEM",
    ValueKind.RANGE_4: "CIDR",
    ValueKind.RANGE_6: "CIDR",
    ValueKind.NAMESERVER: "ADDRESS",
    ValueKind.SECONDS: "SECONDS",
    ValueKind.TEXT: "TEXT",
    ValueKind.URL: "URL",
}


def help_text(width: int) -> str:
    """The text of `--help` for a terminal of *width* columns."""
    formatter = click.HelpFormatter(width=max(MIN_WIDTH, min(width, MAX_WIDTH)))
    formatter.write_usage("synthetics-worker", USAGE)
    _paragraph(formatter, ABOUT)
    with formatter.section("Commands"):
        formatter.write_dl(COMMANDS)
    _paragraph(formatter, FORMS)
    for group in Group:
        with formatter.section(group.value):
            members = [option for option in OPTIONS if option.group is group]
            formatter.write_dl([(_term(option).ljust(TERM_WIDTH), _described(option)) for option in members])
    _paragraph(formatter, CODES)
    return formatter.getvalue()


def schema() -> str:
    """The JSON schema of the config file (draft 2020-12), as committed."""
    properties: dict[str, Any] = {SCHEMA_KEY: {"type": "string", "description": "Ignored; for editors."}}
    for option in OPTIONS:
        if Source.FILE in option.sources:
            for name in option.names:
                about = option.help if name == option.name else f"Another name of {option.name}."
                _insert(properties, name, _property(option) | {"description": about})
            if option.file_name:
                about = f"Path of a file that holds {option.name}."
                _insert(properties, option.file_name, {"type": "string", "description": about})
    for unused in UNUSED:
        _insert(properties, unused.name, {"description": f"Accepted and not used: {unused.why}."})
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Config file of the synthetics worker",
        "description": f"Where the worker looks for it: {DEFAULT_CONFIG}, or --config. Generated from worker/config/options.py.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def table() -> str:
    """The configuration reference in Markdown, one table a group."""
    parts = []
    for group in Group:
        rows = [_row(option) for option in OPTIONS if option.group is group]
        head = "| option | value | default | environment | what it does |\n|---|---|---|---|---|\n"
        parts.append(f"### {group.value}\n\n{head}" + "".join(rows))
    parts.append("### Accepted and not used\n\n" + "".join(f"- `{one.name}`: {one.why}.\n" for one in UNUSED))
    return "\n".join(parts)


def _paragraph(formatter: click.HelpFormatter, text: str) -> None:
    formatter.write_paragraph()
    formatter.write_text(text)


def _term(option: Option) -> str:
    """`-f, --logFormat pretty|json`. A secret has no flag but its `…File`."""
    if Source.FLAG not in option.sources:
        return f"--{option.file_name} FILE"
    short = f"-{option.short}, " if option.short else ""
    return f"{short}--{option.name} {_word(option)}{' …' if option.many else ''}".rstrip()


def _word(option: Option) -> str:
    if option.kind is ValueKind.BOOLEAN:
        return "true|false" if option.default else ""
    return "|".join(option.choices) if option.kind is ValueKind.CHOICE else _WORDS[option.kind]


def _described(option: Option) -> str:
    notes = []
    if Source.FLAG not in option.sources:
        notes.append(f"The value itself by {option.variables[0]} or the config file, never by flag.")
    default = _shown_default(option)
    facts = [f"default: {default}"] if default else []
    if option.aliases:
        facts.append(f"also: {', '.join(f'--{name}' for name in option.aliases)}")
    if option.environment:
        facts.append(f"env: {', '.join(option.environment)}")
    return " ".join((option.help, *notes, f"[{'; '.join(facts)}]" if facts else "")).rstrip()


def _shown_default(option: Option) -> str:
    """The default as a person would write it; nothing for a switch that is off, and for an empty list."""
    match option.default:
        case None | False | () | "":
            return ""
        case True:
            return "true"
        case tuple() as members:
            return ", ".join(members)
    return str(option.default)


def _insert(properties: dict[str, Any], name: str, entry: dict[str, Any]) -> None:
    """A dotted name is allowed as it is, and nested."""
    properties[name] = entry
    outer, dot, inner = name.partition(".")
    if dot:
        nested = properties.setdefault(outer, {"type": "object", "additionalProperties": False, "properties": {}})
        nested["properties"][inner] = entry


def _property(option: Option) -> dict[str, Any]:
    one = _type(option)
    entry: dict[str, Any] = {"type": "array", "items": one} if option.many else one
    if option.one_or_many:
        entry = {"oneOf": [one, entry]}
    if option.default is not None:
        entry["default"] = list(option.default) if isinstance(option.default, tuple) else option.default
    return entry


def _type(option: Option) -> dict[str, Any]:
    if option.kind is ValueKind.BOOLEAN:
        return {"type": "boolean"}
    if option.kind in NUMBERS:
        return {"type": "integer", "minimum": option.minimum, "maximum": option.maximum}
    if option.kind is ValueKind.CHOICE:
        return {"enum": list(option.choices)}
    return {"type": "string"}


def _row(option: Option) -> str:
    names = [f"`{option.name}`", *(f"`{name}`" for name in option.aliases)]
    if option.file_name:
        names.append(f"`{option.file_name}`")
    cells = (
        "<br>".join(names),
        _value_cell(option),
        f"`{_shown_default(option)}`" if _shown_default(option) else _no_default(option.default),
        "<br>".join(f"`{name}`" for name in (*option.variables[:1], *option.environment)) or "–",
        f"{option.help}{_only(option)}",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _value_cell(option: Option) -> str:
    plural = "es" if option.kind.value.endswith("x") else "s"
    bounds = f", {option.minimum}–{option.maximum}" if option.kind in NUMBERS else ""
    kind = (
        " or ".join(f"`{choice}`" for choice in option.choices)
        if option.kind is ValueKind.CHOICE
        else option.kind.value
    )
    return f"list of {kind}{plural}" if option.many else f"{kind}{bounds}"


def _no_default(default: Written | None) -> str:
    match default:
        case False:
            return "`false`"
        case ():
            return "none"
        case "":
            return "empty"
    return "–"


def _only(option: Option) -> str:
    match option.sources:
        case sources if Source.FLAG not in sources:
            return " Never by flag."
        case sources if Source.ENVIRONMENT not in sources:
            return f" Flag only (`{_flags(option)}`)."
        case sources if Source.FILE not in sources:
            return " Not in the file."
    return f" Flag `{_flags(option)}`." if option.short and option.short != "v" else ""


def _flags(option: Option) -> str:
    return f"-{option.short}" if option.short else f"--{option.name}"

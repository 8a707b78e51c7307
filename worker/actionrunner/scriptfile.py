"""The reader of a script file (`schemaId: script-credentials-v1`): the commands that a connection of the type script offers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from worker.actionrunner.yamlfile import OperatorsFile, read_operators_file
from worker.actions.action import LONGEST_TIMEOUT, Effect
from worker.actions.arguments import template_fault
from worker.actions.script import PATH, PredefinedScript
from worker.schemas.schema import closed, fault

SCHEMA_ID: Final = "script-credentials-v1"
MAX_SCRIPTS: Final = 500
_TEXTS: Final = {"type": "array", "maxItems": 200, "items": {"type": "string", "minLength": 1}}
_PATHS: Final = {"type": "array", "maxItems": 100, "items": {"type": "string", "pattern": "^/"}}
_SCRIPT: Final = closed(
    {
        "command": {**_TEXTS, "minItems": 1},
        "parameterSchema": {"type": "object"},
        "allowedEnvVars": _TEXTS,
        "effect": {"enum": [*Effect]},
        "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_TIMEOUT},
        "stdin": {"const": "parameters"},
        "network": {"type": "boolean"},
        "read": _PATHS,
        "write": _PATHS,
        "allowDash": {"type": "boolean"},
    },
    "command",
)
_FILE: Final = closed(
    {"schemaId": {"const": SCHEMA_ID}, "runPredefinedScript": {"type": "object", "maxProperties": MAX_SCRIPTS}},
    "schemaId",
    "runPredefinedScript",
)


def scripts_of(path: Path) -> dict[str, PredefinedScript]:
    """Raises ConfigError, which has the line."""
    file = read_operators_file(path, "script file")
    file.require(_FILE, (), file.data)
    return {name: _script(file, name, written) for name, written in file.data["runPredefinedScript"].items()}


def _script(file: OperatorsFile, name: str, written: Any) -> PredefinedScript:
    at = ("runPredefinedScript", name)
    file.require(_SCRIPT, at, written)
    for index, element in enumerate(written["command"]):
        reason = template_fault(element)
        if reason is not None:
            raise file.mistake(reason, (*at, "command", index))
    schema: Mapping[str, Any] = written.get("parameterSchema", {"type": "object"})
    reason = fault(schema)
    if reason is not None:
        raise file.mistake(f"is not a valid JSON Schema: {reason}", (*at, "parameterSchema"))
    program, *rest = written["command"]
    if "{{" in program:
        raise file.mistake("no parameter may choose the program", (*at, "command", 0))
    return PredefinedScript(
        # Looked up once, so that what was found is what runs.
        command=(program if program.startswith("/") else shutil.which(program, path=PATH) or program, *rest),
        parameter_schema=schema,
        environment=tuple(written.get("allowedEnvVars", ())),
        effect=Effect(written.get("effect", Effect.ONCE)),
        timeout=written.get("timeout"),
        stdin_parameters="stdin" in written,
        network=written.get("network", False),
        read=tuple(written.get("read", ())),
        write=tuple(written.get("write", ())),
        dash_allowed=written.get("allowDash", False),
    )

"""Test documents of the public API: as they are sent, as they are stored, as they are shown. JSON values in and out: no IO.

A document comes back as it was sent: order, types and absent members too. What is added or withheld is listed here and is nothing
else. What is withheld stays stored when a client sends the document back without it.
"""

from __future__ import annotations

import copy
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from controlplane.service.definitions import public_id
from controlplane.store.tests import StoredTest
from worker.apitest.request import DEFAULT_SUBTYPE

OURS = frozenset(
    {
        *("public_id", "version", "monitor_id", "org_id", "created_at", "modified_at", "deleted_at", "created_by"),
        *("creator", "modified_by", "creation_source", "overall_state", "overall_state_modified"),
    }
)
"""Members that a reply has and a request need not: where a client sends one back, ours counts."""
_WHOLE = (
    *("tick_every", "min_failure_duration", "min_location_failed", "monitor_priority"),
    *("retry.count", "monitor_options.renotify_interval", "monitor_options.renotify_occurrences"),
)
"""Options that must be integers in a reply, whatever kind of number was sent: clients refuse 60.0."""
_SECURE_TEXTS = ("example", "pattern")


def accepted(sent: Mapping[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
    """The document to store: ids of steps and files added, and put back what of *known* was withheld from its author."""
    document = {name: copy.deepcopy(value) for name, value in sent.items() if name not in OURS}
    _make_whole(document.get("options"))
    if known is not None:
        _keep_ids(document, known)
    for step in _objects(_config(document).get("steps")):
        step.setdefault("id", public_id())
    for request in requests(document):
        for file in _objects(request.get("files")):
            file.setdefault("bucketKey", f"api-upload-file/{secrets.token_hex(16)}")
    if known is not None:
        _put_back(document, known)
    return document


def shown(test: StoredTest, places: Sequence[str]) -> dict[str, Any]:
    """The document as clients get it. *places* are the ids of the locations that really run the test."""
    stored = json.loads(test.definition)
    document = {name: value for name, value in stored.items() if name not in OURS}
    said = document.get("locations")
    same = isinstance(said, list) and len(said) == len(places) and set(map(str, said)) == set(places)
    document["locations"] = said if same else sorted(places)
    for name, default in (
        ("message", ""),
        ("tags", []),
        ("options", {}),
        ("type", "api"),
        ("subtype", DEFAULT_SUBTYPE),
    ):
        document.setdefault(name, default)
    _withhold(document)
    return document | {
        "status": "paused" if test.paused else "live",
        "public_id": test.public_id,
        "monitor_id": monitor_id(test.public_id),
        "created_at": date(test.created_at),
        "modified_at": date(test.modified_at),
    }


def told(document: Mapping[str, Any]) -> dict[str, Any]:
    """The members that a document's author decides on."""
    return {name: value for name, value in document.items() if name not in OURS}


def date(milliseconds: int) -> str:
    """A moment as tests have it: `2024-12-09T11:17:59.805698+00:00`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="microseconds")


def person(name: str) -> dict[str, str]:
    """Somebody as replies have them: keys and shells have a name, and no mail address."""
    return {"name": name, "handle": name, "email": ""}


def monitor_id(test: str) -> int:
    """A number that is stable for a test: clients keep it, and nothing here is found by it."""
    return _number(test, 6)


def location_number(location: str) -> int:
    """A number that is stable for a location, by which a trigger's reply joins runs to locations."""
    return _number(location, 4)


def requests(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The requests of a document: its one, or those of its steps."""
    config = _config(document)
    steps = [step.get("request") for step in _objects(config.get("steps"))]
    return [request for request in (config.get("request"), *steps) if isinstance(request, dict)]


def _number(text: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size], "big")


def _config(document: Mapping[str, Any]) -> dict[str, Any]:
    config = document.get("config")
    return config if isinstance(config, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _make_whole(options: Any) -> None:
    for path in _WHOLE:
        at = options
        *parents, name = path.split(".")
        for parent in parents:
            at = at.get(parent) if isinstance(at, dict) else None
        if isinstance(at, dict) and isinstance(number := at.get(name), float) and number.is_integer():
            at[name] = int(number)


def withheld(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A definition that was run, as clients may see it."""
    document = copy.deepcopy(dict(definition))
    _withhold(document)
    return document


def _withhold(document: dict[str, Any]) -> None:
    """Remove what no reply shows: the reference system's list, and nothing more."""
    for variable in _objects(_config(document).get("configVariables")):
        if variable.get("secure") is True:
            for name in _SECURE_TEXTS:
                variable.pop(name, None)
    for request in requests(document):
        for part in _certificates(request):
            part.pop("content", None)
        for file in _objects(request.get("files")):
            file.pop("content", None)
            file.pop("encoding", None)


def _certificates(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    certificate = request.get("certificate")
    parts = (certificate.get("cert"), certificate.get("key")) if isinstance(certificate, dict) else ()
    return [part for part in parts if isinstance(part, dict)]


def _put_back(document: dict[str, Any], known: Mapping[str, Any]) -> None:
    before = {one.get("name"): one for one in _objects(_config(known).get("configVariables"))}
    for variable in _objects(_config(document).get("configVariables")):
        if variable.get("secure") is True and not any(name in variable for name in _SECURE_TEXTS):
            _fill(variable, before.get(variable.get("name"), {}), _SECURE_TEXTS)
    for one, other in _pairs(document, known):
        for part, old in zip(_certificates(one), _certificates(other), strict=False):
            if part.get("filename") == old.get("filename") and part.get("updatedAt") == old.get("updatedAt"):
                _fill(part, old, ("content",))
        files = {file.get("bucketKey"): file for file in _objects(other.get("files"))}
        for file in _objects(one.get("files")):
            _fill(file, files.get(file.get("bucketKey"), {}), ("content", "encoding"))


def _keep_ids(document: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Let steps and files that a person wrote without ids have those that they got before: the same name in the same place."""
    for mine, theirs in zip(
        _objects(_config(document).get("steps")), _objects(_config(known).get("steps")), strict=False
    ):
        if all(mine.get(name) == theirs.get(name) for name in ("name", "subtype")):
            _fill(mine, theirs, ("id",))
    for one, other in _pairs(document, known):
        for mine, theirs in zip(_objects(one.get("files")), _objects(other.get("files")), strict=False):
            if mine.get("name") == theirs.get("name"):
                _fill(mine, theirs, ("bucketKey",))


def drop_ids(document: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
    """Remove the ids of steps and files where their author, who *sent* them, wrote none."""
    steps = zip(_objects(_config(document).get("steps")), _objects(_config(sent).get("steps")), strict=False)
    for mine, theirs in steps:
        if "id" not in theirs:
            mine.pop("id", None)
    for one, other in zip(requests(document), requests(sent), strict=False):
        for mine, theirs in zip(_objects(one.get("files")), _objects(other.get("files")), strict=False):
            if "bucketKey" not in theirs:
                mine.pop("bucketKey", None)


def _pairs(document: Mapping[str, Any], known: Mapping[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Requests that are the same one before and after: the test's own, and those of steps with one id."""
    mine, theirs = _by_id(document), _by_id(known)
    both = [(mine[key], theirs[key]) for key in mine if key in theirs]
    return [(one, other) for one, other in both if isinstance(one, dict) and isinstance(other, dict)]


def _by_id(document: Mapping[str, Any]) -> dict[Any, Any]:
    """Requests by the ids of their steps; the test's own has none."""
    config = _config(document)
    steps = {step.get("id"): step.get("request") for step in _objects(config.get("steps"))}
    return steps | {None: config.get("request")}


def _fill(target: dict[str, Any], source: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if name in source:
            target.setdefault(name, copy.deepcopy(source[name]))

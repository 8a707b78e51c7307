"""Overrides of a pipeline: what one triggered run asks or demands otherwise than its test. Pure.

An override that cannot be honoured is refused by its name: to leave it out would test something else than was asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from controlplane.errors import UnusableError

Apply = Callable[[dict[str, Any], Any], None]

UNSUPPORTED = (
    *("tunnel", "deviceIds", "setCookies", "resourceUrlSubstitutionRegexes", "startUrlSubstitutionRegex"),
    *("mobileApplication", "mobileApplicationVersion", "mobileApplicationVersionFilePath", "appExtractedMetadata"),
    *("defaultStepTimeout",),
)
"""Overrides of browser and mobile tests, of the tunnel, and a pattern that only the author's own machine should run."""
_OF_THE_RUN = frozenset({"public_id", "local_test_definition", "metadata", "version", "locations", "executionRule"})
"""Members that say which run it is and not what it asks; the trigger reads them."""


def applied(definition: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The definition of this run. Raises UnusableError."""
    changed = copy.deepcopy(dict(definition))
    for name, value in overrides.items():
        if name in _OF_THE_RUN or value is None:
            continue
        if name in UNSUPPORTED:
            if value:
                raise UnusableError(f"override {name!r} is not supported by this server")
            continue
        apply = _APPLY.get(name)
        if apply is None:
            raise UnusableError(f"override {name[:60]!r} is not known to this server")
        apply(changed, value)
    return changed


def _request(definition: dict[str, Any], name: str) -> dict[str, Any]:
    """The one request of a test. Raises UnusableError where there are several."""
    config = definition.get("config")
    request = config.get("request") if isinstance(config, dict) else None
    if not isinstance(request, dict):
        raise UnusableError(f"override {name!r}: the test has no request of its own, as one of several steps has none")
    return request


def _known(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A member that is an object, or an empty one: what this version cannot run is stored as it came."""
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UnusableError(f"override {name!r} is not a valid text")
    return value


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnusableError(f"override {name!r} is not a valid object")
    return value


def _member(name: str, member: str) -> Apply:
    """A text that stands in the request under another name."""

    def apply(definition: dict[str, Any], value: Any) -> None:
        _request(definition, name)[member] = _text(name, value)

    return apply


def _option(name: str, member: str) -> Apply:
    def apply(definition: dict[str, Any], value: Any) -> None:
        if not isinstance(value, bool):
            raise UnusableError(f"override {name!r} is neither true nor false")
        definition.setdefault("options", {})[member] = value

    return apply


def _headers(definition: dict[str, Any], value: Any) -> None:
    """Each header in place of the test's own of that name, whatever its case."""
    request, given = _request(definition, "headers"), _object("headers", value)
    names = {name.lower() for name in given}
    kept = {name: text for name, text in _known(request, "headers").items() if name.lower() not in names}
    request["headers"] = kept | {name: _text(f"headers.{name[:40]}", text) for name, text in given.items()}


def _cookies(definition: dict[str, Any], value: Any) -> None:
    given = value if isinstance(value, dict) else {"value": value}
    text = _text("cookies", given.get("value"))
    headers = _known(_request(definition, "cookies"), "headers")
    before = next((old for name, old in headers.items() if name.lower() == "cookie"), "")
    _headers(definition, {"Cookie": f"{before}; {text}" if given.get("append") and before else text})


def _basic_auth(definition: dict[str, Any], value: Any) -> None:
    given = _object("basicAuth", value)
    request = _request(definition, "basicAuth")
    kind = _known(request, "basicAuth").get("type", "web")
    names = {"username": given.get("username"), "password": given.get("password")}
    request["basicAuth"] = {"type": kind if kind in ("web", "digest", "ntlm") else "web"} | {
        name: _text(f"basicAuth.{name}", text) for name, text in names.items()
    }


def _timeout(definition: dict[str, Any], value: Any) -> None:
    """Milliseconds here, seconds there."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise UnusableError("override 'testTimeout' is not a valid number of milliseconds")
    _request(definition, "testTimeout")["timeout"] = value / 1000


def _retry(definition: dict[str, Any], value: Any) -> None:
    """Only what is given is replaced."""
    options = definition.setdefault("options", {})
    options["retry"] = _known(options, "retry") | _object("retry", value)


def _variables(definition: dict[str, Any], value: Any) -> None:
    """Each in place of the test's own of that name, in clear: that is how it was sent."""
    given = {name: _text(f"variables.{name[:40]}", text) for name, text in _object("variables", value).items()}
    config = definition.setdefault("config", {})
    declared = config.get("configVariables")
    before = [one for one in declared if isinstance(one, dict)] if isinstance(declared, list) else []
    kept = [one for one in before if one.get("name") not in given]
    config["configVariables"] = kept + [
        {"type": "text", "name": name, "pattern": text, "example": text} for name, text in given.items()
    ]


_APPLY: dict[str, Apply] = {
    "startUrl": _member("startUrl", "url"),
    "body": _member("body", "body"),
    "bodyType": _member("bodyType", "bodyType"),
    "headers": _headers,
    "cookies": _cookies,
    "basicAuth": _basic_auth,
    "allowInsecureCertificates": _option("allowInsecureCertificates", "allow_insecure"),
    "followRedirects": _option("followRedirects", "follow_redirects"),
    "testTimeout": _timeout,
    "retry": _retry,
    "variables": _variables,
}

"""The overrides of CI clients: a test as JSON and its `testOverrides` → the test that is meant, as JSON.

It changes members of the definition and reads nothing of their meaning: the reader of definitions does that afterwards. What only
other kinds of tests have is noted as ignored; a tunnel, without which another thing would be tested, is refused. A substitution
in the URL becomes a member of the request: a run makes it when the URL is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from worker.apitest.reading import Findings, Node, perhaps, quote
from worker.apitest.request import DEFAULT_SUBTYPE
from worker.apitest.substitution import MEMBER, read_substitution
from worker.errors import TestError

RULES: Final = ("blocking", "non_blocking", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverriddenTest:
    """*test* with its overrides. *rule* is one of RULES: a test that is `skipped` is not run. *ignored* names what has no effect.

    Variables of the overrides are among its `configVariables`. Whoever sends variables of a wider scope with the job leaves out
    those that are *named* here, because what comes with a job wins over what a test declares.
    """

    test: Mapping[str, Any]
    rule: str = RULES[0]
    named: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()


def overridden(test: Mapping[str, Any], overrides: object, *, path: str = "testOverrides") -> OverriddenTest:
    """Lay *overrides*, which stand at *path*, over *test*, which stays as it is. Raises TestError with every mistake in them."""
    findings = Findings()
    root = Node(overrides, path, findings).object()
    result = _Draft(test)
    for name, node in root.members():
        change = _CHANGES.get(name)
        if name in _OF_REQUESTS and not result.is_http:
            node.ignores("has an effect on http tests only")
        elif change is not None:
            change(result, node)
        elif name in _OF_OTHER_TESTS:
            node.ignores("has no effect on an API test")
        elif name in _REFUSED:
            node.mistake(_REFUSED[name])
        else:
            node.ignores(f"is not known{perhaps(name, (*_CHANGES, *_OF_OTHER_TESTS, *_REFUSED))}")
    if findings.mistakes:
        raise TestError(findings.mistakes.told())
    return OverriddenTest(
        test=result.test(), rule=result.rule, named=frozenset(result.variables), ignored=findings.ignored.told()
    )


class _Draft:
    """The parts of a definition that overrides change, copied."""

    def __init__(self, test: Mapping[str, Any]) -> None:
        self._test = dict(test)
        self._config = _copied(test.get("config"))
        self.request = _copied(self._config.get("request"))
        self.options = _copied(test.get("options"))
        self.headers = _copied(self.request.get("headers"))
        self.variables: dict[str, str] = {}
        ci = self.options.get("ci")
        rule = ci.get("executionRule") if isinstance(ci, Mapping) else None
        self.rule = rule if rule in RULES else RULES[0]

    @property
    def is_http(self) -> bool:
        return self._test.get("subtype") in (None, "", DEFAULT_SUBTYPE)

    def replace(self, **members: Any) -> None:
        self._test |= members

    def test(self) -> dict[str, Any]:
        """The definition. A part that it has not, and that no override adds, is not added."""
        request = self.request | ({"headers": self.headers} if self.headers else {})
        config = self._config | ({"request": request} if request else {})
        if self.variables:
            config["configVariables"] = self._declared(config.get("configVariables"))
        parts = {"config": config, "options": self.options}
        return self._test | {name: part for name, part in parts.items() if part or name in self._test}

    def set_header(self, name: str, value: str) -> None:
        """Put it in the place of every header of this name, whatever the case."""
        self.headers = {each: old for each, old in self.headers.items() if str(each).lower() != name.lower()}
        self.headers[name] = value

    def header(self, name: str) -> str:
        found = (value for each, value in self.headers.items() if str(each).lower() == name.lower())
        return next((value for value in found if isinstance(value, str)), "")

    def _declared(self, declared: object) -> list[Any]:
        """The variables first: patterns of the others may name them. One that was declared as secure stays so."""
        old = [each for each in declared if isinstance(each, Mapping)] if isinstance(declared, list) else []
        secure = {each.get("name") for each in old if each.get("secure") is True}
        new = [
            {"name": name, "type": "text", "pattern": value, "secure": name in secure}
            for name, value in self.variables.items()
        ]
        return [*new, *(each for each in old if each.get("name") not in self.variables)]


def _copied(part: object) -> dict[str, Any]:
    return dict(part) if isinstance(part, Mapping) else {}


def _url(draft: _Draft, node: Node) -> None:
    if text := node.label():
        draft.request["url"] = text


def _url_substitution(draft: _Draft, node: Node) -> None:
    if text := node.label():
        read_substitution(node)
        draft.request[MEMBER] = text


def _body(draft: _Draft, node: Node) -> None:
    if (text := node.label()) is not None:
        draft.request["body"] = text


def _body_type(draft: _Draft, node: Node) -> None:
    if text := node.label():
        draft.request["bodyType"] = text


def _basic_auth(draft: _Draft, node: Node) -> None:
    login = node.object()
    if login.present:
        username, password = login["username"].label() or "", login["password"].label() or ""
        draft.request["basicAuth"] = {"type": "web", "username": username, "password": password}


def _headers(draft: _Draft, node: Node) -> None:
    for name, member in node.object().members():
        if (text := member.texts()) is not None:
            draft.set_header(name, text)


def _cookies(draft: _Draft, node: Node) -> None:
    """Text, or `{append, value}`; cookies that are appended stand behind those of the test."""
    parts = node if isinstance(node.value, Mapping) else None
    text = node.label() if parts is None else parts["value"].label()
    if not text:
        return
    before = draft.header("Cookie").rstrip("; ") if parts is not None and parts["append"].flag() else ""
    draft.set_header("Cookie", f"{before}; {text}" if before else text)


def _switch(option: str) -> Callable[[_Draft, Node], None]:
    def change(draft: _Draft, node: Node) -> None:
        if (value := node.flag()) is not None:
            draft.options[option] = value

    return change


def _retry(draft: _Draft, node: Node) -> None:
    """Either of its members may be given alone."""
    wanted = node.object()
    given = {name: wanted[name].number() for name in ("count", "interval")}
    kept = _copied(draft.options.get("retry"))
    draft.options["retry"] = kept | {name: value for name, value in given.items() if value is not None}


def _variables(draft: _Draft, node: Node) -> None:
    for name, member in node.object().members():
        if (text := member.texts()) is not None:
            draft.variables[name] = text


def _rule(draft: _Draft, node: Node) -> None:
    rule = node.label()
    if rule in RULES:
        draft.rule = rule
    elif rule:
        node.mistake(f"must be one of {', '.join(RULES)}, not {quote(rule)}")


def _locations(draft: _Draft, node: Node) -> None:
    names = [item.label() for item in node.items()]
    if names:
        draft.replace(locations=[name for name in names if name])


_CHANGES: Final[Mapping[str, Callable[[_Draft, Node], None]]] = MappingProxyType(
    {
        "allowInsecureCertificates": _switch("allow_insecure"),
        "basicAuth": _basic_auth,
        "body": _body,
        "bodyType": _body_type,
        "cookies": _cookies,
        "executionRule": _rule,
        "followRedirects": _switch("follow_redirects"),
        "headers": _headers,
        "locations": _locations,
        "retry": _retry,
        "startUrl": _url,
        MEMBER: _url_substitution,
        "variables": _variables,
    }
)
_OF_REQUESTS: Final = frozenset({"basicAuth", "body", "bodyType", "cookies", "headers", "startUrl", MEMBER})
"""Members that change what a web request asks; a test of several steps has no request of its own."""
_OF_OTHER_TESTS: Final = frozenset(
    {
        "appExtractedMetadata",
        "defaultStepTimeout",
        "deviceIds",
        "mobileApplication",
        "mobileApplicationVersion",
        "mobileApplicationVersionFilePath",
        "pollingTimeout",
        "resourceUrlSubstitutionRegexes",
        "setCookies",
        "testTimeout",
        "version",
    }
)
"""Members that only browser and mobile tests have, or that speak to a client."""
_REFUSED: Final = MappingProxyType(
    {
        "tunnel": "is not supported: run the test at a location whose worker reaches the host by itself",
    }
)
"""Members without which another thing would be tested."""

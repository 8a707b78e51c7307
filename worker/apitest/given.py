"""Variables that whoever starts a run gives it: texts, secure texts, and shared secrets of one-time passwords.

They are values; where they came from, a job or a command line, is not known here. A file of them is a JSON object:
`{"HOST": "shop.test", "TOKEN": {"value": "…", "secure": true}, "PIN": {"value": "JBSW…", "totp": {"digits": 6, "refresh": 30}}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from worker.apitest.one_time import DEFAULT_DIGITS, DEFAULT_REFRESH, DIGITS, REFRESH, OneTimeSecret
from worker.apitest.reading import Findings, Node
from worker.apitest.template import ExpressionError, is_name
from worker.apitest.variables import Variable
from worker.errors import TemplateError, TestError
from worker.secret import Secret

_MEMBERS = ("value", "secure", "totp")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenVariables:
    """*one_time* by the name whose value is the password of the moment at which a run starts."""

    variables: tuple[Variable, ...] = ()
    one_time: Mapping[str, OneTimeSecret] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.variables or self.one_time)

    def at(self, moment: datetime) -> tuple[Variable, ...]:
        """The variables of a run that starts at *moment*. Raises TemplateError for a shared secret that is not base32."""
        return (*self.variables, *(_password(name, secret, moment) for name, secret in self.one_time.items()))

    def keys(self) -> tuple[Secret[str], ...]:
        """The shared secrets: no result may hold them, although no template names them."""
        return tuple(secret.key for secret in self.one_time.values())


def read_given(content: object) -> GivenVariables:
    """Read the decoded *content* of a file of variables. Raises TestError with every mistake in it, and no value."""
    findings = Findings()
    root = Node(content, "$", findings).object(required=True)
    variables: list[Variable] = []
    one_time: dict[str, OneTimeSecret] = {}
    for name, node in root.members():
        found = _given(name, node)
        if isinstance(found, OneTimeSecret):
            one_time[name] = found
        elif found is not None:
            variables.append(found)
    if findings.mistakes:
        raise TestError(findings.mistakes.told())
    return GivenVariables(variables=tuple(variables), one_time=one_time)


def _given(name: str, node: Node) -> Variable | OneTimeSecret | None:
    if not is_name(name):
        node.mistake("is not a valid name of a variable")
        return None
    if not isinstance(node.value, Mapping):
        if not node.present:
            node.mistake("is null, must be text or an object")
        text = node.label()
        return None if text is None else Variable(name=name, value=Secret(text))
    for member, inner in node.members():
        if member not in _MEMBERS:
            inner.mistake(f"is not known, must be one of {', '.join(_MEMBERS)}")
    text, secure = node["value"].label(), node["secure"].flag()
    if text is None:
        if not node["value"].present:
            node["value"].mistake("is missing")
        return None
    if not node["totp"].present:
        return Variable(name=name, value=Secret(text), secure=bool(secure))
    form = node["totp"].object()
    digits, refresh = form["digits"].whole(*DIGITS), form["refresh"].whole(0, REFRESH[1])
    return OneTimeSecret(key=Secret(text), digits=digits or DEFAULT_DIGITS, refresh=refresh or DEFAULT_REFRESH)


def _password(name: str, secret: OneTimeSecret, moment: datetime) -> Variable:
    try:
        return Variable(name=name, value=secret.password(moment), secure=True)
    except ExpressionError as error:
        raise TemplateError([f"$: the variable '{name}' {error.reason}"]) from None

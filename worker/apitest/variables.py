"""Variables of a test: those that `config.configVariables` declares, those that were given to the run, and the values of both.

A given value wins over a declared one, so that whoever starts a run can override. A variable without a value is no mistake of its
test: the run fails only where a template names it, and says why there is none. No value stands in any message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Final

from msgspec import Struct, field

from worker.apitest.reading import Node, perhaps, quote
from worker.apitest.template import BuiltIn, Namespace, is_name, render
from worker.errors import TemplateError
from worker.secret import Secret
from worker.text import cut

MAX_DECLARED: Final = 500
"""Variables that a test may declare: far more than people name, and few enough that all their values stay small."""
MAX_VALUE: Final = 64 * 1024
"""Characters of one declared value: more than the largest request body, so that any body can be one."""
_REASON: Final = 300
"""Characters of the reason why a variable has no value."""


class VariableKind(Enum):
    TEXT = "text"
    GLOBAL = "global"
    EMAIL = "email"


_KINDS: Final = tuple(kind.value for kind in VariableKind)


class Variable(Struct, frozen=True, kw_only=True):
    """A name with its value. What is *secure* appears in no result."""

    name: str
    value: Secret[str]
    secure: bool = False


class DeclaredVariable(Struct, frozen=True, kw_only=True):
    """A variable that a test declares. *pattern* is the text of its value, templates included; None where the test has none."""

    name: str
    kind: VariableKind
    pattern: Secret[str] | None = None
    secure: bool = False


class Variables(Struct, frozen=True):
    """The variables of one run, each name once, and the declared names without a value, each with the reason (*absent*)."""

    known: tuple[Variable, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)

    def namespace(self, built_in: BuiltIn) -> Namespace:
        """Everything that a template of this run may name."""
        values = {variable.name: variable.value.reveal() for variable in self.known}
        return Namespace(values=values, absent=self.absent, built_in=built_in)

    def secrets(self) -> tuple[Secret[str], ...]:
        """The values that no result may hold."""
        return tuple(variable.value for variable in self.known if variable.secure and variable.value)

    def assigned(self, more: Iterable[Variable]) -> Variables:
        """These variables, with *more* in the place of those of the same name."""
        known = {variable.name: variable for variable in (*self.known, *more)}
        return Variables(tuple(known.values()), {name: self.absent[name] for name in self.absent if name not in known})


def read_variables(node: Node) -> tuple[DeclaredVariable, ...]:
    """Read `config.configVariables`; the first of two declarations of one name counts."""
    items = node.items()
    if len(items) > MAX_DECLARED:
        node.mistake(f"must hold at most {MAX_DECLARED} variables, not {len(items)}")
        return ()
    declared: dict[str, DeclaredVariable] = {}
    for item in items:
        variable = _declared(item.object(required=True))
        if variable is None:
            continue
        if variable.name in declared:
            item.ignores("not used: a variable of this name is declared before it")
        declared.setdefault(variable.name, variable)
    return tuple(declared.values())


def _declared(node: Node) -> DeclaredVariable | None:
    if not node.present:
        return None
    name, kind = _name(node["name"]), _kind(node["type"])
    pattern, secure = node["pattern"].label(), node["secure"].flag()
    node["example"].label()
    node["id"].label()
    if pattern is not None and len(pattern) > MAX_VALUE:
        node["pattern"].mistake(f"must have at most {MAX_VALUE} characters, not {len(pattern)}")
    if name is None or kind is None:
        return None
    kept = None if pattern is None else Secret(pattern)
    return DeclaredVariable(name=name, kind=kind, pattern=kept, secure=bool(secure))


def _name(node: Node) -> str | None:
    name = node.label()
    if not name:
        if not node.present or name == "":
            node.mistake("is empty" if node.present else "is missing")
        return None
    if not is_name(name):
        node.mistake(f"is not a valid name of a variable: {quote(name)}")
        return None
    return name


def _kind(node: Node) -> VariableKind | None:
    name = node.label()
    for kind in VariableKind:
        if kind.value == name:
            return kind
    if name:
        node.requires(f"variables of type {quote(name)} are not known{perhaps(name, _KINDS)}")
    elif not node.present or name == "":
        node.mistake(f"is missing, must be one of {', '.join(_KINDS)}")
    return None


def resolve(declared: Sequence[DeclaredVariable], given: Iterable[Variable], built_in: BuiltIn) -> Variables:
    """The values of a run that was *given* variables; a pattern may name what was given, and what is declared before it."""
    secure = {variable.name for variable in declared if variable.secure}
    known = {
        each.name: Variable(name=each.name, value=each.value, secure=each.secure or each.name in secure)
        for each in given
    }
    absent: dict[str, str] = {}
    for variable in declared:
        if variable.name in known:
            continue
        found = _valued(variable, Variables(tuple(known.values()), absent), built_in)
        if isinstance(found, Variable):
            known[variable.name] = found
        else:
            absent[variable.name] = found
    return Variables(tuple(known.values()), absent)


def _valued(variable: DeclaredVariable, before: Variables, built_in: BuiltIn) -> Variable | str:
    """The variable with its value, or the reason why it has none."""
    called = f"the variable {quote(variable.name)}"
    if variable.kind is VariableKind.GLOBAL:
        return f"{called} is a global one, and no value was given for it"
    if variable.kind is VariableKind.EMAIL:
        return f"{called} is an email address, which only browser tests have"
    if variable.pattern is None:
        withheld = " (exports withhold those of secure variables)" if variable.secure else ""
        return f"{called} has no pattern{withheld}, and no value was given for it"
    pattern = variable.pattern.reveal()
    try:
        value = render(pattern, before.namespace(built_in), path="pattern", at_most=MAX_VALUE)
    except TemplateError as error:
        if variable.secure:  # a sentence would repeat a part of the pattern
            return f"{called} has no value: its pattern cannot be rendered"
        # Only the first sentence, and cut: it may hold the reason of another variable, and that one those of others.
        return cut(f"{called} has no value: {error.errors[0]}", _REASON)
    return Variable(name=variable.name, value=Secret(value), secure=variable.secure)

"""Variables that whoever starts a run gives it: texts, secure texts, and shared secrets of one-time passwords.

They are values; where they came from, a job or a command line, is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from worker.apitest.one_time import OneTimeSecret
from worker.apitest.template import ExpressionError
from worker.apitest.variables import Variable
from worker.errors import TemplateError
from worker.secret import Secret


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


def _password(name: str, secret: OneTimeSecret, moment: datetime) -> Variable:
    try:
        return Variable(name=name, value=secret.password(moment), secure=True)
    except ExpressionError as error:
        raise TemplateError([f"$: the variable '{name}' {error.reason}"]) from None

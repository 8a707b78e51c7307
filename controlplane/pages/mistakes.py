"""Mistakes in a form, each under the field that it is in, so that a page shows it beside that field. Pure.

The names are those of fields as forms send them; "" is for what is wrong with the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from controlplane.errors import UnusableError

FormMistakes = Mapping[str, Sequence[str]]
WHOLE = ""
NO_MISTAKES: FormMistakes = MappingProxyType({})


def mistake_of(
    error: UnusableError, *, default: str = WHOLE, called: Mapping[str, str] = MappingProxyType({})
) -> FormMistakes:
    """The mistake that a use case found, under the field that it names, else *default*.

    *called* are the form's names of what use cases call otherwise.
    """
    return {called.get(error.field, error.field) or default: (str(error),)}


def mistakes_by_path(lines: Iterable[str], fields: Mapping[str, str], *, rest: str) -> FormMistakes:
    """Lines that begin with the path of a member in a document, under the field that stands for it; all others under *rest*.

    *fields* are names of fields by paths, of which a member's own one counts for what is in it.
    """
    found: dict[str, list[str]] = {}
    for line in lines:
        path = line.partition(":")[0]
        known = (name for at, name in fields.items() if path == at or path.startswith((at + ".", at + "[")))
        found.setdefault(next(known, rest), []).append(line)
    return found

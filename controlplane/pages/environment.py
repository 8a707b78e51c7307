"""The templates: every value is escaped, and a name that nothing has is an error. Imported by the first page alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from controlplane.pages import formats

FOLDER = Path(__file__).parent / "templates"


def hidden(name: str, value: str) -> Markup:
    """A hidden field of a form."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(name, value)


@cache
def environment() -> Environment:
    """The one environment: its templates are compiled when they are first used, and kept."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=formats.visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "moment": formats.moment,
        "machine_moment": formats.machine_moment,
        "span": formats.span,
        "ago": formats.ago,
        "due": formats.due,
    }
    return made

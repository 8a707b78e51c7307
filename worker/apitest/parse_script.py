"""Scripts of a definition: their text as it stands. Templates in it are left alone: a script asks `dd.variable.get`."""

from __future__ import annotations

from worker.apitest.reading import Node


def read_script(node: Node, *, required: bool = False) -> str:
    """A script; empty where there is none, which is a mistake where it is *required*."""
    code = node.label() or ""
    if code.strip():
        return code
    if required and (not node.present or isinstance(node.value, str)):
        node.mistake("is empty" if node.present else "is missing")
    return ""

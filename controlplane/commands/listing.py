"""The output of a command that lists: a table for people, as wide as their terminal, or a JSON value a line for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click

from worker.program.terminal import columns
from worker.text import json_line, table


def echo_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    click.echo(table(headings, rows, width=columns(sys.stdout)))


def echo_values(values: Iterable[object]) -> None:
    for value in values:
        click.echo(json_line(value))

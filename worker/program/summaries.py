"""A group of commands whose help has the first sentence of each: click's own cuts it where the line ends."""

from __future__ import annotations

import click

LONGEST_CHARACTERS = 400
"""Of a first sentence, beyond any that there is."""


class SummarizedGroup(click.Group):
    """Click's group; a summary that is longer than its line goes on in the next one."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the section of commands."""
        named = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [
            (name, one.get_short_help_str(LONGEST_CHARACTERS))
            for name, one in named
            if one is not None and not one.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

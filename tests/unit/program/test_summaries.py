from __future__ import annotations

import click
from click.testing import CliRunner

from worker.program.summaries import SummarizedGroup


def test_a_summary_that_is_longer_than_its_line_is_told_whole() -> None:
    sentence = " ".join(["word"] * 40) + " end."
    group = SummarizedGroup(
        "program",
        commands=[click.Command("long", help=f"{sentence} And more."), click.Command("unseen", hidden=True)],
    )
    said = CliRunner().invoke(group, ["--help"], terminal_width=60).output
    assert sentence in " ".join(said.split())
    assert "more" not in said
    assert "unseen" not in said
    assert max(map(len, said.splitlines())) <= 60

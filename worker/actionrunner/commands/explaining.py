"""`explain` and `policy check`: the word of the local policy, by the function that the executor calls. Nothing is carried out."""

from __future__ import annotations

import click

from worker.actionrunner.commands.context import CommandContext, read_input
from worker.actionrunner.judging import Judged, judge
from worker.actionrunner.policyfile import CLIENTS
from worker.actions.action import Order
from worker.errors import ExitCode
from worker.program.summaries import SummarizedGroup
from worker.text import counted, json_line


@click.command()
@click.argument("action")
@click.option("--connection", metavar="NAME", help="The connection that the order names.")
@click.option(
    "--input", "given", metavar="JSON|@FILE", default="{}", show_default=True, help="The input of the action."
)
@click.option(
    "--client", type=click.Choice(CLIENTS), default="cli", show_default=True, help="The kind of program that asks."
)
@click.option("--caller", metavar="KIND/ID", default="user/someone", show_default=True, help="Who asks.")
@click.option("--json", "as_json", is_flag=True, help="One object.")
@click.pass_context
def explain(
    ctx: click.Context, *, action: str, connection: str | None, given: str, client: str, caller: str, as_json: bool
) -> None:
    """Say whether this runner would carry out an order, by which rule, and what would change it. Exit code 0 or 1."""
    context = CommandContext(ctx.obj)
    order = Order(
        task="",
        run="",
        action=action,
        connection=connection,
        input=read_input(given),
        client=client,
        caller=caller,
        timeout=0.0,
        issued_at=0,
        order_sha256="",
    )
    judged = judge(order, context.modes, context.state())
    click.echo(json_line(as_object(judged)) if as_json else as_text(judged))
    ctx.exit(ExitCode.DONE if judged.fault is None else ExitCode.FAILED)


def as_object(judged: Judged) -> dict[str, object]:
    rule = judged.rule
    return {
        "allowed": judged.fault is None,
        "code": judged.fault,
        "reason": judged.reason,
        "rule": None if rule is None else rule.name,
        "place": None if rule is None else rule.place,
        "remedy": judged.remedy,
    }


def as_text(judged: Judged) -> str:
    rule = judged.rule
    lines = ["allowed" if judged.fault is None else f"refused: {judged.fault}", f"  because {judged.reason}"]
    if rule is not None:
        lines.append(f"  rule    {rule.name} ({rule.place})")
        if judged.fault is None and rule.rate is not None:
            lines.append(f"  rate    {rule.rate.most} in {rule.rate.seconds:g} s, which is not counted here")
    if judged.remedy and judged.fault is not None:
        lines.append(f"  remedy  {judged.remedy}")
    return "\n".join(lines)


@click.group(cls=SummarizedGroup)
def policy() -> None:
    """The local policy."""


@policy.command("check")
@click.pass_context
def policy_check(ctx: click.Context) -> None:
    """Read policy and connections as a start would, and say what is wrong with them. Exit code 0, 1 or 2."""
    state = CommandContext(ctx.obj).state()
    for name, reason in state.connections.unusable.items():
        click.echo(f"the connection {name} cannot be used: {reason}", err=True)
    for warning in state.warnings:
        click.echo(f"warning: {warning}", err=True)
    rules, usable = len(state.policy.rules), len(state.connections.usable)
    click.echo(f"{counted(rules, 'rule')}, {counted(usable, 'usable connection')}")
    ctx.exit(ExitCode.FAILED if state.connections.unusable else ExitCode.DONE)

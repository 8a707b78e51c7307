"""`status`: ask the runner of this machine how it is."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import click
import orjson

from worker.actionrunner.commands.session import environment
from worker.actionrunner.options import load
from worker.errors import ExitCode

SECONDS = 5.0
"""For the whole answer: it is read from memory."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@click.pass_context
def status(context: click.Context, *, as_json: bool) -> None:
    """Show identity, epoch, connections, policy and troubles of the running runner. Exit 1 where it is not ready."""
    config = load(environment(), context.obj).config
    host = f"[{config.host}]" if ":" in config.host else config.host
    url = f"http://{host}:{config.probes_port}/status"
    try:
        found = asyncio.run(_ask(url))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        click.echo(f"no runner answers at {url}: {str(error) or 'time-out'}", err=True)
        context.exit(ExitCode.FAILED)
    click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() if as_json else _for_people(found))
    context.exit(ExitCode.DONE if found.get("ready") else ExitCode.FAILED)


async def _ask(url: str) -> dict[str, Any]:
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as reply:
        found = orjson.loads(await reply.content.read(1024 * 1024))
        if not isinstance(found, dict):
            raise ValueError("it is not a runner")  # noqa: TRY004 - the answer's fault, not the caller's
        return found


def _for_people(found: dict[str, Any]) -> str:
    policy, pulls = found["policy"], found["pulls"]
    lines = [
        f"runner       {found['runner']}, {'ready' if found['ready'] else 'not ready'}",
        *(f"trouble      {each}" for each in found["troubles"]),
        f"urn          {found['urn']}",
        f"instance     {found['instance']}, epoch {found['epoch']}, modes {', '.join(found['modes'])}",
        f"clock        {found['clock_offset_seconds']:+.1f} s to the control plane's",
        f"policy       {'readable' if policy['readable'] else 'allows nothing'}, read {policy['read_seconds_ago']} s ago",
        *(f"isolation    {each}" for each in found["isolation"]["missing"]),
        *(f"warning      {each}" for each in policy["warnings"]),
        *(f"connection   {name}: {each}" for name, each in sorted(found["connections"].items())),
        f"pulls        {pulls['answered']} answered, {pulls['failed']} failed, {pulls['unreadable']} unreadable",
    ]
    return "\n".join(lines)

"""`identity`: print the enrolled identity as the two variables of a read-only one."""

from __future__ import annotations

import click

from worker.actionrunner.commands.session import environment, loaded
from worker.actionrunner.identification import store_of
from worker.actionrunner.identitygiven import given_text
from worker.errors import ConfigError


@click.command()
@click.pass_obj
def identity(directory: str | None) -> None:
    """Print RUNNER_URN and RUNNER_PRIVATE_KEY, for a place that cannot keep a file. Who has the second is the runner."""
    store = store_of(loaded(directory).config, environment())
    found = store.load()
    if found is None or found.enrolment is None:
        raise ConfigError(
            "has no identity that has enrolled: `private-action-runner enroll` makes it", place=store.place
        )
    click.echo(f"RUNNER_URN={found.enrolment.urn}")
    click.echo(f"RUNNER_PRIVATE_KEY={given_text(found).reveal()}")

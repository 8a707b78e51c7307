"""`enroll`: make the runner's identity by its token, and end."""

from __future__ import annotations

import uuid

import click

from worker.actionrunner.commands.session import environment, loaded, ran
from worker.actionrunner.identification import enrol, store_of
from worker.clock import SystemClock


@click.command()
@click.option("--again", is_flag=True, help="Put an identity that has enrolled aside, as NAME.old, and make a new one.")
@click.pass_obj
def enroll(directory: str | None, *, again: bool) -> None:
    """Enrol by the token in RUNNER_ENROLLMENT_TOKEN, and end. Serving does the same at its start."""
    config = loaded(directory).config
    store = store_of(config, environment())
    if again and store.load() is not None:
        store.keep_old()
    found = ran(enrol(config, store, SystemClock(), instance=str(uuid.uuid4())))
    assert found.enrolment is not None, "it has enrolled"
    click.echo(f"enrolled: {found.enrolment.urn}, {found.enrolment.name}, key {found.keys.signing.kid}")

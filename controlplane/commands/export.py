"""`export`: write the tests of a control plane into files, one each, without secrets, as `apply` reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from controlplane.commands.reach import Reach, with_reach
from controlplane.errors import UnusableError
from controlplane.operations import plans
from controlplane.operations.operation import PlaneClient
from controlplane.operations.plans import ExportTests, ExportVariables
from worker.text import counted, printable

YAML_WIDTH = 130
VARIABLES = "variables"
"""The name of the one file of all global variables."""


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--yaml", "as_yaml", is_flag=True, help="YAML in place of JSON.")
@with_reach
def export(reach: Reach, folder: Path, *, as_yaml: bool) -> None:
    """Write each test into a file of DIR named by its public id, and all global variables into one.

    Files of deleted tests are named and left there.
    """
    suffix = ".yaml" if as_yaml else ".json"
    other = ".json" if as_yaml else ".yaml"
    documents, variables = reach.run(_read)
    found = {document["public_id"]: document for document in documents}
    contents = dict(found) | ({VARIABLES: {"variables": list(variables)}} if variables else {})
    if twice := [name for name in contents if (folder / f"{name}{other}").exists()]:
        raise UnusableError(f"{folder / twice[0]}{other}: it is exported in the other form already: delete that first")
    written = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            written += _put(folder / f"{name}{suffix}", _text(content, as_yaml=as_yaml))
    except OSError as error:
        raise UnusableError(f"{error.filename or folder}: {error.strerror}") from error
    click.echo(
        f"{counted(len(found), 'test')} in {folder}: {counted(written, 'file')} written, the others are as they were"
    )
    for left in sorted(path for path in folder.glob(f"???-???-???{suffix}") if path.stem not in found):
        click.echo(printable(f"{left}: there is no such test"), err=True)


async def _read(client: PlaneClient) -> tuple[list[dict[str, Any]], tuple[dict[str, Any], ...]]:
    found: list[dict[str, Any]] = []
    while True:
        page = await client.ask(plans.EXPORT, ExportTests(offset=len(found)))
        found += page
        if len(page) < plans.EXPORTED:
            return found, await client.ask(plans.EXPORT_VARIABLES, ExportVariables())


def _put(path: Path, text: str) -> bool:
    """Write a file anew where it says something else; True where it did."""
    data = text.encode()
    if path.exists() and path.read_bytes() == data:
        return False
    path.write_bytes(data)
    return True


def _text(document: dict[str, Any], *, as_yaml: bool) -> str:
    if not as_yaml:
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    import yaml  # noqa: PLC0415 - few write YAML

    dumped: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=YAML_WIDTH)
    return dumped

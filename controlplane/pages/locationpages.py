"""Private locations as pages: list and health, create with the config file in the answer, rotate, switch, describe, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.errors import InUseError, NotFoundError, UnusableError
from controlplane.pages.mistakes import NO_MISTAKES, FormMistakes, mistake_of
from controlplane.pages.names import listed_names
from controlplane.pages.page import Download, PageReply, PageRoute, Rendered, SeeOther, Visit, sent, shown
from controlplane.service import locations, startcommands
from controlplane.service.locationfile import KeyKind
from controlplane.service.locations import Description, LocationHealth
from controlplane.service.principal import KeyScope
from controlplane.service.startcommands import ConfigPath
from controlplane.store.locations import Location
from worker.secret import Secret
from worker.text import counted

LIVE_SECONDS = 2
"""A location turns within 5 s of the first poll: the page looks twice in that time."""
FILE_NAME = startcommands.POD_KEY
MOST_NAMES = 100
"""Tests that a page names before a location is deleted."""
LONGEST_OVERLAP = 24 * 3650
"""Hours; the command line's own bound."""


async def list_all(visit: Visit) -> PageReply:
    """Show every location and its health."""
    found = await locations.list_all(visit.context.database, visit.context.clock, visit.by)
    return Rendered(
        template="locations.html", values={"places": found, "may_write": may_write(visit)}, live_seconds=LIVE_SECONDS
    )


async def show(visit: Visit) -> PageReply:
    """Show one location with its workers."""
    return await _page(visit, "24", NO_MISTAKES)


async def _page(visit: Visit, overlap_hours: str, mistakes: FormMistakes) -> Rendered:
    """The page of a location. It turns by itself while there is nothing to mend in its form."""
    one = await _health(visit)
    values = {
        "one": one,
        "workers": (*one.alive, *one.silent),
        "may_write": may_write(visit),
        "overlap_hours": overlap_hours,
        "key_kind": visit.form.get("key_kind", ""),
        "mistakes": mistakes,
        **starting(one.location.intake_url),
    }
    if mistakes:
        return Rendered(template="location.html", values=values, status=400)
    return Rendered(template="location.html", values=values, live_seconds=LIVE_SECONDS)


async def new(visit: Visit) -> PageReply:
    """Show the form of a new location."""
    visit.by.require(KeyScope.WRITE)
    fields = {"name": "", "description": "", "tags": "", "key_kind": "", "intake_url": visit.context.intake_url}
    return _form(fields, NO_MISTAKES, None)


async def create(visit: Visit) -> PageReply:
    """Make a location; its config file is in this answer alone."""
    fields = {name: visit.form.get(name, "") for name in ("name", "description", "tags", "key_kind", "intake_url")}
    try:
        location, text = await locations.create(
            visit.context.database,
            visit.context.clock,
            visit.by,
            fields["name"],
            key_kind=_key_kind(fields["key_kind"]),
            intake_url=fields["intake_url"],
            description=described(fields),
        )
    except UnusableError as error:
        return _form(fields, mistake_of(error), None)
    return _file(visit, location, text)


async def rotate(visit: Visit) -> PageReply:
    """Make a new config file; it is in this answer alone."""
    hours = visit.form.get("overlap_hours", "").strip()
    if not _is_overlap(hours):
        expected = f"expected hours from 0 to {LONGEST_OVERLAP}"
        told = f"overlap_hours: {hours[:40]!r} is not a valid number: {expected}"
        return await _page(visit, hours, {"overlap_hours": (told,)})
    location, text = await locations.rotate(
        visit.context.database,
        visit.context.clock,
        visit.by,
        visit.path["location"],
        key_kind=_key_kind(visit.form.get("key_kind", "")),
        intake_url=None,
        overlap_ms=round(float(hours) * 3_600_000),
    )
    return _file(visit, location, text)


async def edit(visit: Visit) -> PageReply:
    """Show the form of a location's details."""
    visit.by.require(KeyScope.WRITE)
    location = await locations.get(visit.context.database, visit.by, visit.path["location"])
    fields = {"name": location.name, "description": location.description, "tags": ", ".join(location.tags)}
    return _form(fields, NO_MISTAKES, location.id)


async def update(visit: Visit) -> PageReply:
    """Rename and describe a location."""
    place = visit.path["location"]
    fields = {name: visit.form.get(name, "") for name in ("name", "description", "tags")}
    try:
        changed = await locations.update(
            *(visit.context.database, visit.context.clock, visit.by, place),
            name=fields["name"],
            description=await _changed(visit, place, fields),
        )
    except NotFoundError:
        raise
    except UnusableError as error:
        return _form(fields, mistake_of(error), place)
    return SeeOther(to=f"/locations/{changed.id}", notice=f"Location {changed.name} is changed.")


async def _changed(visit: Visit, place: str, fields: Mapping[str, str]) -> Description:
    """The words in a form. Tags that nobody touched stay as they are, commas in them too. Raises UnusableError."""
    known = await locations.get(visit.context.database, visit.by, place)
    if fields["tags"] == ", ".join(known.tags):
        return locations.check_description(fields["description"], known.tags)
    return described(fields)


async def enable(visit: Visit) -> PageReply:
    """Switch a location on."""
    return await _switched(visit, enabled=True)


async def disable(visit: Visit) -> PageReply:
    """Switch a location off."""
    return await _switched(visit, enabled=False)


async def ask_delete(visit: Visit) -> PageReply:
    """Show what depends on a location before it is deleted."""
    workers = 0
    tests: tuple[str, ...] = ()
    try:
        location = await locations.check_delete(
            visit.context.database, visit.context.clock, visit.by, visit.path["location"]
        )
    except InUseError as error:
        location = await locations.get(visit.context.database, visit.by, visit.path["location"])
        workers, tests = error.workers, error.tests
    values = {"location": location, "workers": workers, "tests": tests, "most": MOST_NAMES}
    return Rendered(template="locationdelete.html", values=values)


async def delete(visit: Visit) -> PageReply:
    """Delete a location, whatever depends on it: the page before has named that."""
    homeless = await locations.delete(
        visit.context.database, visit.context.clock, visit.by, visit.path["location"], force=True
    )
    verb = "runs" if len(homeless) == 1 else "run"
    told = f" {counted(len(homeless), 'test')} {verb} nowhere now." if homeless else ""
    return SeeOther(to="/locations", notice=f"The location is deleted.{told}")


async def _switched(visit: Visit, *, enabled: bool) -> PageReply:
    place = visit.path["location"]
    await locations.set_enabled(visit.context.database, visit.context.clock, visit.by, place, enabled=enabled)
    return SeeOther(to=f"/locations/{place}", notice=f"The location is {'enabled' if enabled else 'disabled'}.")


async def _health(visit: Visit) -> LocationHealth:
    found = await locations.list_all(visit.context.database, visit.context.clock, visit.by)
    one = next((one for one in found if one.location.id == visit.path["location"]), None)
    if one is None:
        raise NotFoundError("location", visit.path["location"])
    return one


def may_write(visit: Visit) -> bool:
    """Tell if a page should offer changes; the service layer decides if they are made."""
    return KeyScope.WRITE in visit.by.scopes


def starting(intake_url: str) -> dict[str, Any]:
    """The values of a template that shows how a worker is started."""
    path = ConfigPath(text=FILE_NAME)
    commands = (
        startcommands.reaching(intake_url),
        *startcommands.starting(path, intake_url),
        *startcommands.compose(path, intake_url),
    )
    return {"commands": commands, "warnings": startcommands.warnings(intake_url), "file_name": FILE_NAME}


def _form(fields: Mapping[str, str], mistakes: FormMistakes, place: str | None) -> Rendered:
    return Rendered(
        template="locationform.html",
        values={
            "fields": fields,
            "mistakes": mistakes,
            "is_new": place is None,
            "heading": "Create a private location" if place is None else "Edit a private location",
            "action": "/locations/new" if place is None else f"/locations/{place}/edit",
        },
        status=400 if mistakes else 200,
    )


def _file(visit: Visit, location: Location, text: Secret[str]) -> PageReply:
    if visit.form.get("answer") == "file":
        return Download(name=FILE_NAME, content=text.reveal().encode(), content_type="application/json")
    values = {"location": location, "text": text.reveal(), **starting(location.intake_url)}
    return Rendered(template="locationfile.html", values=values)


def _key_kind(text: str) -> KeyKind:
    if text == "rsa4096":
        return "rsa4096"
    return "x25519"


def _is_overlap(text: str) -> bool:
    """Tell if a text is a number of hours; NaN is none."""
    try:
        return 0 <= float(text) <= LONGEST_OVERLAP
    except ValueError:
        return False


def described(fields: Mapping[str, str]) -> Description:
    """Description and tags as a form has them. Raises UnusableError."""
    return locations.check_description(fields["description"], listed_names(fields["tags"]))


ROUTES: tuple[PageRoute, ...] = (
    shown("/locations", list_all),
    shown("/locations/new", new),
    sent("/locations/new", create),
    shown("/locations/{location}", show),
    shown("/locations/{location}/edit", edit),
    sent("/locations/{location}/edit", update),
    sent("/locations/{location}/rotate", rotate),
    sent("/locations/{location}/enable", enable),
    sent("/locations/{location}/disable", disable),
    shown("/locations/{location}/delete", ask_delete),
    sent("/locations/{location}/delete", delete),
)

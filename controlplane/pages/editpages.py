"""Tests are made here: the form of a new or a stored one, checked or run before it is saved; and exports that are imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from controlplane.alerts import rule
from controlplane.errors import ConflictError, NotFoundError, UnusableError
from controlplane.pages import testforms
from controlplane.pages.mistakes import NO_MISTAKES, WHOLE, FormMistakes, mistake_of, mistakes_by_path
from controlplane.pages.page import PageReply, PageRoute, Rendered, SeeOther, Visit, sent, shown
from controlplane.pages.testforms import TestFields
from controlplane.pages.testpages import followed
from controlplane.service import definitions, locations, testdocuments, tests, triggers
from controlplane.service.definitions import MISTAKES_SHOWN, CheckedDefinition
from controlplane.service.principal import KeyScope
from controlplane.service.tests import Change
from worker.apitest import files
from worker.apitest.request import DEFAULT_SUBTYPE
from worker.clock import Clock
from worker.errors import TestError
from worker.text import counted, listed

MAX_FORM_BYTES = 3 * 4 * 1024 * 1024
"""Of a form with definitions of 4 MiB: each byte takes up to three in the coding of forms."""
_FIELDS = {"name": "name", "tags": "tags", "options.tick_every": "period", "locations": "location"}
"""Fields of the form by the members of a document that they stand for."""


async def new(visit: Visit) -> PageReply:
    """Show the form of a new test; `subtype` and `location` of the query are filled in."""
    visit.by.require(KeyScope.WRITE)
    place = visit.query.get("location")
    fields = testforms.example(visit.query.get("subtype", DEFAULT_SUBTYPE), [] if place is None else [place])
    return await _form(visit, fields)


async def create(visit: Visit) -> PageReply:
    """Store a new test, check it, or run it without storing it."""
    return await _sent(visit, None)


async def edit(visit: Visit) -> PageReply:
    """Show the form of a stored test."""
    visit.by.require(KeyScope.WRITE)
    one = await testdocuments.get(visit.context.database, visit.by, visit.path["test"])
    return await _form(visit, testforms.of_document(one.document, one.test.version))


async def update(visit: Visit) -> PageReply:
    """Store a test anew, check it, or run it without storing it."""
    return await _sent(visit, visit.path["test"])


async def _sent(visit: Visit, test: str | None) -> PageReply:
    fields = testforms.read_fields(visit.form)
    try:
        document = testforms.document_of(fields)
        match visit.form.get("do", "save"):
            case "check":
                return await _checked(visit, fields, document)
            case "run":
                return await _ran(visit, fields, document)
        return await _saved(visit, test, fields, document)
    except NotFoundError as error:
        if error.kind == "test":  # it was deleted meanwhile
            raise
        return await _form(visit, fields, mistakes=mistake_of(error))
    except TestError as error:
        mistakes = mistakes_by_path(listed(list(error.errors), MISTAKES_SHOWN), _FIELDS, rest="document")
        return await _form(visit, fields, mistakes=mistakes)
    except UnusableError as error:
        return await _form(visit, fields, mistakes=mistake_of(error, called={"locations": "location"}))


async def _saved(visit: Visit, test: str | None, fields: TestFields, document: dict[str, Any]) -> PageReply:
    context = visit.context
    if test is None:
        stored = await testdocuments.create(context.database, context.clock, visit.by, document)
    else:
        current = (await testdocuments.get(context.database, visit.by, test)).test
        if fields.version != str(current.version):
            by = f" by {current.modified_by}" if current.modified_by else ""
            told = f"the test was changed{by} since this form was shown: send it again to save it over that change"
            shown_again = TestFields(**{**_members(fields), "version": str(current.version)})
            return await _form(visit, shown_again, mistakes={WHOLE: (told,)}, status=409)
        stored = await testdocuments.replace(context.database, context.clock, visit.by, test, document)
    return SeeOther(to=f"/tests/{stored.test.public_id}", notice=f"Test {stored.test.name} is saved.")


def _members(fields: TestFields) -> dict[str, Any]:
    return {name: getattr(fields, name) for name in fields.__struct_fields__}


async def _checked(visit: Visit, fields: TestFields, document: dict[str, Any]) -> PageReply:
    """Check the document as `validate` does. Raises TestError."""
    visit.by.require(KeyScope.WRITE)
    checked, misspelt = definitions.check_spelled("test", document)
    parsed = checked.parsed
    remarks = [f"It will end as REQUIRES_UPDATE: {lack}" for lack in parsed.requires_update]
    places = document["locations"]
    few = rule.too_few(document, len(places)) if isinstance(places, list) else ()
    remarks += [*parsed.ignored, *few, *misspelt]
    told = "The test is valid. It is not saved." if not parsed.requires_update else ""
    return await _form(visit, fields, remarks=remarks, told=told)


async def _ran(visit: Visit, fields: TestFields, document: dict[str, Any]) -> PageReply:
    """Raises UnusableError or TestError."""
    wanted = {"local_test_definition": document, "locations": document["locations"]}
    made = await triggers.trigger(visit.context.database, visit.context.clock, visit.by, [wanted])
    told = f"It runs now at {', '.join(place.name for place in made.locations)}, as it stands here. It is not saved."
    return await _form(visit, fields, told=told, runs=followed([one.result_id for one in made.runs]))


async def _form(
    visit: Visit,
    fields: TestFields,
    *,
    mistakes: FormMistakes = NO_MISTAKES,
    remarks: Sequence[str] = (),
    told: str = "",
    runs: str = "",
    status: int = 400,
) -> Rendered:
    test = visit.path.get("test")
    places = await locations.list_all(visit.context.database, visit.context.clock, visit.by)
    return Rendered(
        template="testform.html",
        values={
            "fields": fields,
            "places": places,
            "mistakes": mistakes,
            "remarks": remarks,
            "told": told,
            "runs": runs,
            "heading": "Create a test" if test is None else "Edit a test",
            "action": "/tests/new" if test is None else f"/tests/{test}/edit",
            "subtypes": tuple(testforms.EXAMPLES) if test is None else (),
            "may_trigger": KeyScope.TRIGGER in visit.by.scopes,
        },
        status=status if mistakes else 200,
    )


async def ask_import(visit: Visit) -> PageReply:
    """Show the form for exports."""
    visit.by.require(KeyScope.WRITE)
    return await _import_form(visit, "", [], NO_MISTAKES)


async def import_all(visit: Visit) -> PageReply:
    """Add or update every test of an export, or none."""
    text, chosen = visit.form.get("definitions", ""), visit.form.getall("location", [])
    found, mistakes = await read_definitions(visit.context.clock, text)
    if mistakes:
        return await _import_form(visit, text, chosen, {"definitions": listed(mistakes, MISTAKES_SHOWN)})
    try:
        pushed = await tests.push(visit.context.database, visit.context.clock, visit.by, found, places=chosen)
    except NotFoundError as error:
        return await _import_form(visit, text, chosen, mistake_of(error))
    except ConflictError as error:
        return await _import_form(visit, text, chosen, {"definitions": (str(error),)})
    numbers = {change: sum(one.change is change for one in pushed) for change in Change}
    told = ", ".join(f"{number} {change.value}" for change, number in numbers.items() if number)
    return SeeOther(to="/tests", notice=f"Imported {counted(len(pushed), 'test')}: {told}.")


async def read_definitions(clock: Clock, text: str) -> tuple[list[CheckedDefinition], list[str]]:
    """Every valid definition of an export, and a line for every mistake. Others have their turn after each
    `definitions.AT_ONCE`."""
    found: list[CheckedDefinition] = []
    mistakes: list[str] = []
    for number, entry in enumerate(files.read("import", text.encode(errors="replace")), start=1):
        if isinstance(entry, files.Unusable):
            mistakes.append(str(entry))
            continue
        try:
            found.append(definitions.check(entry.place, entry.value))
        except TestError as error:
            mistakes += [f"{entry.place}: {mistake}" for mistake in error.errors]
        if number % definitions.AT_ONCE == 0:
            await clock.sleep(0)
    return found, mistakes + definitions.conflicts(found)


async def _import_form(visit: Visit, text: str, chosen: Sequence[str], mistakes: FormMistakes) -> Rendered:
    places = await locations.list_all(visit.context.database, visit.context.clock, visit.by)
    values = {
        "text": text,
        "chosen": chosen,
        "places": places,
        "mistakes": mistakes,
    }
    return Rendered(template="testimport.html", values=values, status=400 if mistakes else 200)


ROUTES: tuple[PageRoute, ...] = (
    shown("/tests/new", new),
    sent("/tests/new", create, max_bytes=MAX_FORM_BYTES),
    shown("/tests/import", ask_import),
    sent("/tests/import", import_all, max_bytes=MAX_FORM_BYTES),
    shown("/tests/{test}/edit", edit),
    sent("/tests/{test}/edit", update, max_bytes=MAX_FORM_BYTES),
)

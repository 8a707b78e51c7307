"""Forms: the body as `application/x-www-form-urlencoded`, UTF-8, within bounds; and the fields that several pages have."""

from __future__ import annotations

from urllib.parse import parse_qsl

from multidict import MultiDict, MultiDictProxy, MultiMapping

from controlplane.errors import RefusedError, UnusableError
from worker.secret import Secret

CONTENT_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 2_000
"""Of one form: a test's form has some hundred, and each is a pair of texts in memory."""


def new_password(form: MultiMapping[str]) -> Secret[str]:
    """The password of the fields `password` and `repeated`. Raises UnusableError where they differ."""
    password = form.get("password", "")
    if password != form.get("repeated", ""):
        raise UnusableError("the two passwords are not the same", field="repeated")
    return Secret(password)


def read_form(content_type: str, body: bytes) -> MultiDictProxy[str]:
    """The fields, in their order, line ends as `\\n`. Raises RefusedError."""
    if content_type != CONTENT_TYPE:
        raise RefusedError(415, "content_type", f"{content_type[:80]!r} is not a valid content type of a form")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:  # UnicodeDecodeError is one
        raise RefusedError(400, "form", "the form is not valid: fields of UTF-8 text are expected") from error
    # HTML Standard, "constructing the entry list": browsers send line ends as CR LF.
    return MultiDictProxy(MultiDict((name, value.replace("\r\n", "\n")) for name, value in pairs))

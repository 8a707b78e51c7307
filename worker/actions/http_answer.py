"""The outputs of an `http.request`: its answer decoded as the task asks, or the reason why it is no success."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from worker.actions import multipart
from worker.actions.action import ActionFailure
from worker.net.http.response import Response
from worker.text import cut

SHOWN_CHARACTERS: Final = 750
"""Of the body in a message, as in the reference system."""
MAX_FORM_FIELDS: Final = 1000
DEFAULT_ERRORS: Final = ("400-599",)
STATUSES: Final = r"^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"

_ENCODINGS: Final[Mapping[str, Callable[[bytes], str]]] = {
    "utf8": lambda body: body.decode(errors="replace"),
    "ascii": lambda body: body.decode("ascii", errors="replace"),
    "latin1": lambda body: body.decode("latin-1"),
    "binary": lambda body: body.decode("latin-1"),
    "utf16le": lambda body: body.decode("utf-16-le", errors="replace"),
    "ucs2": lambda body: body.decode("utf-16-le", errors="replace"),
    "hex": bytes.hex,
    "base64": lambda body: b64encode(body).decode(),
    "base64url": lambda body: urlsafe_b64encode(body).decode().rstrip("="),
}
ENCODINGS: Final = tuple(_ENCODINGS)
PARSINGS: Final = ("raw", "json", "form-urlencoded", "form-data")
_FORMS: Final = {"application/x-www-form-urlencoded": "form-urlencoded", "multipart/form-data": "form-data"}
_TEXT: Final = re.compile(
    r"text/|application/(.*\+)?(json|xml|javascript|x-www-form-urlencoded|graphql|yaml)|.*\+(json|xml)"
)


def is_error(status: int, written: Sequence[str]) -> bool:
    """True where *status* lies in one of the ranges "400-499" or is one of the single ones "503"."""
    ranges = (text.partition("-") for text in written)
    return any(int(first) <= status <= int(last or first) for first, _, last in ranges)


def outputs_of(response: Response, url: str, timings: Mapping[str, float], given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ActionFailure (PARSE)."""
    return {
        "status": response.status,
        "headers": _headers(response),
        "body": _body(response, given),
        "url": url,
        "timings": dict(timings),
    }


def status_failure(response: Response, url: str, timings: Mapping[str, float], target: str) -> ActionFailure:
    """The failure for a status that the task calls an error; the answer goes along, as text."""
    text = response.body.decode(errors="replace")
    outputs = {
        "status": response.status,
        "headers": _headers(response),
        "body": cut(text, SHOWN_CHARACTERS),
        "url": url,
        "timings": dict(timings),
    }
    message = f"the answer has the status {response.status}: {cut(text, SHOWN_CHARACTERS)}"
    return ActionFailure(
        "STATUS", message, retryable=response.status in (429, 502, 503, 504), outputs=outputs, target=target
    )


def _headers(response: Response) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in response.headers:
        found.setdefault(name.lower(), []).append(value)
    return found


def _body(response: Response, given: Mapping[str, Any]) -> Any:
    if response.content_encodings:
        codings = ", ".join(response.content_encodings)
        raise ActionFailure("PARSE", f"the answer is compressed ({cut(codings, 80)}), which was not asked for")
    kind = (response.header("content-type") or "").partition(";")[0].strip().lower()
    encoding = given.get("responseEncoding")
    parsing = given.get("responseParsing") or _inferred(kind, encoding)
    if parsing == "form-data":
        return _parts(response, given)
    if encoding is None:
        encoding = "utf8" if parsing != "raw" or not kind or _TEXT.match(kind) else "base64"
    text = _ENCODINGS[encoding](response.body)
    if parsing == "form-urlencoded":
        return _form(text)
    return _json(text, given) if parsing == "json" else text


def _inferred(kind: str, encoding: str | None) -> str:
    if encoding is not None:
        return "raw"
    if kind == "application/json" or kind.endswith("+json"):
        return "json"
    return _FORMS.get(kind, "raw")


def _json(text: str, given: Mapping[str, Any]) -> Any:
    """A body that only calls itself JSON comes back as its text; one that the task calls JSON has to be."""
    try:
        return orjson.loads(text)
    except ValueError:
        if given.get("responseParsing") != "json":
            return text
        raise ActionFailure("PARSE", "the body of the answer is not valid JSON") from None


def _parts(response: Response, given: Mapping[str, Any]) -> Any:
    try:
        return multipart.fields_of(response.body, response.header("content-type") or "")
    except ValueError as error:
        if given.get("responseParsing") != "form-data":
            return response.body.decode(errors="replace")
        raise ActionFailure("PARSE", f"the body of the answer is not valid form-data: {error}") from None


def _form(text: str) -> dict[str, list[str]]:
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise ActionFailure("PARSE", f"the body of the answer has more than {MAX_FORM_FIELDS} fields") from None

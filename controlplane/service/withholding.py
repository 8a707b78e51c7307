"""Credentials in a test's document, withheld from people who may look at a test and not change it. JSON values in and out: no IO.

The public API shows them to its keys, as the reference system does, whose clients compare them. What an author keeps in a secure
variable is shown to nobody; here is what stands in the request itself: passwords and secrets of its sign-in, headers and members
of a URL by which one is let in. A body and a script are the author's text, and are shown.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from controlplane.service.documents import requests

WITHHELD = "<withheld>"
SECRETS = frozenset({"password", "clientSecret", "accessKey", "secretKey", "sessionToken"})
"""Members of `basicAuth`, of whatever type."""
_HEADER = re.compile(r"(?i)^(proxy-)?authorization$|^cookie$|token|secret|passw|api-?_?key|credential|signature")
_REFERENCE = re.compile(r"([A-Za-z]+ )?\{\{[^{}]*\}\}")
"""The name of a variable, behind the name of a scheme: it tells where a credential is, and none."""
_USER_INFO = re.compile(r"(?<=//)[^/?#@]*:[^/?#@]*(?=@)")


def without_credentials(document: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a document, with a mark in place of each credential."""
    shown = copy.deepcopy(dict(document))
    for request in requests(shown):
        for place, name in _credentials(request):
            value = place[name]
            if value and not (isinstance(value, str) and _REFERENCE.fullmatch(value.strip())):
                place[name] = WITHHELD
        for place in (request, _object(request.get("proxy"))):
            if isinstance(url := place.get("url"), str):
                place["url"] = _USER_INFO.sub(WITHHELD, url)
    return shown


def _credentials(request: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each credential by the object that it is in and its name there."""
    sign_in, proxy = _object(request.get("basicAuth")), _object(request.get("proxy"))
    yield from ((sign_in, name) for name in sign_in if name in SECRETS)
    for headers in (_object(request.get("headers")), _object(proxy.get("headers"))):
        yield from ((headers, name) for name in headers if _HEADER.search(name))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

"""Makes the engines ready: whatever they load or open when first used, they have loaded and opened after this. Only Chai is not
run yet: most processes never see a script.

For a process that gives up its files before it looks at anything hostile.
"""

from __future__ import annotations

from worker.apitest.observation import Observation
from worker.apitest.responses.http import HTTPResponse
from worker.checks import charset, pattern
from worker.checks.evidence import AssertionLimits, Evidence
from worker.checks.javascript import library
from worker.checks.jsonpath import find
from worker.checks.schema import VALIDATORS, violation
from worker.checks.xpath import select
from worker.outcome.phases import Timings


def warm_up(limits: AssertionLimits) -> None:
    """Run every engine once, on nothing."""
    charset.load()
    library.opened()
    pattern.search("a", "a", limits.pattern_seconds)
    for path in ("$..a[?(@.b > 1)]", "$[?match(@.a, 'b')]"):
        find(path, {"a": [{"b": 2}]})
    for media_type in ("text/xml", "text/html"):
        select("string(//@b)", Evidence(_document(media_type), limits))
    for dialect in VALIDATORS:
        violation('{"pattern": "(?=a)a", "format": "date"}', dialect, "a")


def _document(media_type: str) -> Observation:
    response = HTTPResponse(
        url="", status=200, http_version="1.1", headers=(("content-type", media_type),), body=b"<a b='c'/>"
    )
    return Observation(timings=Timings(), response=response)

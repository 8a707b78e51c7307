"""recordEvery and recordSome with every operator, in the forms in which people write records down."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.observed import dns, judged
from worker.checks.records import canonical


def every(kind: str, operator: str, target: str) -> dict[str, Any]:
    return {"type": "recordEvery", "property": kind, "operator": operator, "target": target}


def some(kind: str, operator: str, target: str) -> dict[str, Any]:
    return every(kind, operator, target) | {"type": "recordSome"}


ANSWER = dns(
    A=("192.0.2.1", "192.0.2.2"),
    AAAA=("2001:db8::1",),
    CNAME=("Edge.CDN.example.net.",),
    MX=("10 mail1.example.org.", "20 mail2.example.org."),
    NS=("ns1.example.org.",),
    TXT=("v=spf1 include:_spf.example.org -all", 'say "hi" é', r"C:\new", r"\xff"),
    CAA=('0 issue "letsencrypt.org"', '128 issuewild ";"', '0 iodef "mailto:Ops@example.org"'),
)
"""As a look-up yields it: the data of a TXT record, the other types in presentation format."""


@pytest.mark.parametrize(
    "assertion",
    [
        some("A", "is", "192.0.2.2"),
        every("A", "contains", "192.0.2."),
        every("A", "matches", r"^192\.0\.2\.\d+$"),
        every("A", "doesNotMatch", r"^10\."),
        some("A", "contains", "2.1"),
        some("A", "matches", r"\.2$"),
        some("A", "doesNotMatch", r"\.2$"),
        some("a", "is", "192.0.2.1"),
        every("AAAA", "is", "2001:0DB8:0:0::1"),
        every("CNAME", "is", "edge.cdn.example.net"),
        every("CNAME", "is", "edge.cdn.example.net."),
        every("CNAME", "contains", "CDN"),
        some("MX", "is", "10 mail1.example.org"),
        some("MX", "is", "mail2.example.org."),
        every("MX", "matches", r"^\d+ mail\d\.example\.org$"),
        every("NS", "is", "NS1.example.org"),
        some("TXT", "is", "v=spf1 include:_spf.example.org -all"),
        some("TXT", "is", '"v=spf1 include:_spf.example.org" " -all"'),
        some("TXT", "is", 'say "hi" é'),
        some("TXT", "is", r'"say \"hi\" \195\169"'),
        some("TXT", "is", r"C:\new"),
        some("TXT", "is", r'"C:\\new"'),
        some("TXT", "is", r'"\255"'),
        some("TXT", "is", r"say \"hi\" \195\169"),
        some("TXT", "contains", "_spf"),
        some("TXT", "contains", r'"\"hi\""'),
        some("CAA", "is", '0 issue "letsencrypt.org"'),
        some("CAA", "is", "0 issue letsencrypt.org"),
        some("CAA", "is", '0 ISSUE "LetsEncrypt.org"'),
        some("CAA", "is", "0  issue\t letsencrypt.org "),
        some("CAA", "is", "128 issuewild ;"),
        some("CAA", "is", r'128 IssueWild "\059"'),
        some("CAA", "is", "0 iodef mailto:Ops@example.org"),
        some("CAA", "contains", "letsencrypt.org"),
        some("CAA", "contains", "issue letsencrypt"),
        some("CAA", "contains", 'ISSUE "LETS'),
        some("CAA", "matches", '^0 issue "letsencrypt\\.org"$'),
    ],
)
def test_records_that_satisfy(assertion: dict[str, Any]) -> None:
    result = judged(ANSWER, assertion)
    assert (result.valid, result.error_message) == (True, None)
    assert result.property == assertion["property"].upper()


@pytest.mark.parametrize(
    ("assertion", "reason"),
    [
        (every("A", "is", "192.0.2.1"), "1 of 2: A record is '192.0.2.2', not '192.0.2.1'"),
        (some("A", "is", "0.0.0.0"), "2 of 2: A record is '192.0.2.1', not '0.0.0.0'"),
        (every("A", "contains", ".2.1"), "1 of 2: A record '192.0.2.2' does not contain '.2.1'"),
        (every("A", "matches", "1$"), "1 of 2: A record '192.0.2.2' does not match the pattern '1$'"),
        (every("A", "doesNotMatch", "1$"), "1 of 2: A record '192.0.2.1' matches the pattern '1$'"),
        (some("A", "matches", "^10"), "2 of 2: A record '192.0.2.1' does not match the pattern '^10'"),
        (some("A", "doesNotMatch", "^192"), "2 of 2: A record '192.0.2.1' matches the pattern '^192'"),
        (every("AAAA", "is", "2001:db8::2"), "AAAA record is '2001:db8::1', not '2001:db8::2'"),
        (some("TXT", "is", "V=SPF1 include:_spf.example.org -all"), None),
        (some("CAA", "is", "0 issue other.example"), None),
        (some("CAA", "is", "128 issue letsencrypt.org"), None),
        (some("CAA", "is", "0 iodef mailto:ops@example.org"), None),
        (some("CAA", "contains", "issue other"), None),
    ],
)
def test_records_that_do_not(assertion: dict[str, Any], reason: str | None) -> None:
    result = judged(ANSWER, assertion)
    assert not result.valid
    if reason is not None:
        assert result.error_message == reason


def test_actual_lists_all_records_as_they_were_compared() -> None:
    assert judged(ANSWER, some("MX", "is", "nobody")).actual == "10 mail1.example.org, 20 mail2.example.org"


@pytest.mark.parametrize("operator", ["is", "contains", "matches", "doesNotMatch"])
@pytest.mark.parametrize("quantifier", [every, some])
def test_no_record_satisfies_nothing_and_the_rcode_says_why(quantifier: Any, operator: str) -> None:
    result = judged(dns(A=()), quantifier("A", operator, "x"))
    assert (result.valid, result.actual, result.error_message) == (False, None, "there is no A record (NXDOMAIN)")


@pytest.mark.parametrize(
    "data",
    [
        r"v=DKIM1\; k=rsa\; p=MIIB",
        r'"v=DKIM1; k=rsa; p=MIIB"',
        '"v=DKIM1; k=rsa; " "p=MIIB"',
        r"v=DKIM1\059 k=rsa; p=MIIB",
    ],
)
def test_what_a_txt_record_holds_is_not_unescaped(data: str) -> None:
    """A DKIM record whose data hold backslashes or quotation marks is broken: nobody who reads it takes them away."""
    for target in ("v=DKIM1; k=rsa; p=MIIB", '"v=DKIM1; k=rsa; " "p=MIIB"'):
        assert not judged(dns(TXT=(data,)), every("TXT", "is", target)).valid
    assert judged(dns(TXT=(data,)), every("TXT", "is", "x")).actual == data


@pytest.mark.parametrize(
    ("kind", "record", "expected"),
    [
        ("SRV", "0 5 5060 Sip.example.org.", "0 5 5060 sip.example.org"),
        ("MX", "0 .", "0 ."),
        ("CAA", '0 issue "letsencrypt.org"', '0 issue "letsencrypt.org"'),
        (
            "CAA",
            '0 ISSUE "LetsEncrypt.org; AccountURI=https://Host/A"',
            '0 issue "letsencrypt.org; AccountURI=https://Host/A"',
        ),
        ("CAA", '0 contactemail "Me@example.org"', '0 contactemail "Me@example.org"'),
        ("CAA", "broken", "broken"),
        ("TXT", r'"a\b" "c"', r'"a\b" "c"'),
        ("TXT", "plain", "plain"),
        ("A", "no address", "no address"),
    ],
)
def test_the_canonical_form(kind: str, record: str, expected: str) -> None:
    assert canonical(kind, record) == expected

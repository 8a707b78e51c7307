"""DNS records against `recordEvery` and `recordSome`.

Records are compared in one canonical form: names without their last dot and without regard to letter case, addresses by value,
TXT as the joined text without its quotation marks. An MX target without a preference means the exchange alone.
"""

from __future__ import annotations

import ipaddress
import re

from worker.apitest.assertion import Comparison, Operator, Subject
from worker.apitest.protocols.dns import DNSAnswers
from worker.apitest.result import AssertionResult
from worker.checks.describe import result_of, unjudged
from worker.checks.evidence import Evidence
from worker.checks.judgement import JudgementError
from worker.checks.operators import Search, complaint, holds
from worker.checks.values import text_of

_NAMES = ("CNAME", "MX", "NS", "PTR", "SOA", "SRV")
_CHARACTER_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)', re.DOTALL)
_ESCAPE = re.compile(rb"\\(\d{3}|.)", re.DOTALL)


def judge_records(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    """Raises JudgementError."""
    response, kind = evidence.observation.response, assertion.property or ""
    if not isinstance(response, DNSAnswers):
        raise JudgementError("there is no DNS answer to look at")
    answers = [answer for answer in response.answers if answer.record_type == kind]
    records = [canonical(kind, record) for answer in answers for record in answer.records]
    if not records:
        rcodes = ", ".join(sorted({answer.rcode for answer in answers} - {"NOERROR"}))
        return unjudged(assertion, f"there is no {kind} record{f' ({rcodes})' if rcodes else ''}")
    wrong = [record for record in records if not _holds(assertion, kind, record, search)]
    every = assertion.subject is Subject.RECORD_EVERY
    valid = not wrong if every else len(wrong) < len(records)
    return result_of(
        assertion,
        valid=valid,
        actual=", ".join(records),
        reason=None if valid else _complain(assertion, kind, wrong, records),
    )


def canonical(kind: str, record: str) -> str:
    """A record's data, given in presentation format (RFC 1035 §5.1), as it is compared and shown."""
    if kind == "TXT":
        return _joined(record)
    if kind in _NAMES:
        return " ".join(word if word == "." else word.removesuffix(".") for word in record.split()).lower()
    if kind in ("A", "AAAA"):
        return _address(record)
    return record.strip()


def _holds(assertion: Comparison, kind: str, record: str, search: Search) -> bool:
    target = text_of(assertion.target)
    if assertion.operator is Operator.IS:
        if kind == "TXT":
            return record in (target, canonical(kind, target))
        wanted = canonical(kind, target)
        return wanted == record or (kind == "MX" and wanted == record.partition(" ")[2])
    if assertion.operator is Operator.CONTAINS and kind in _NAMES:
        target = target.lower()
    return holds(assertion.operator, record, target, search)


def _complain(assertion: Comparison, kind: str, wrong: list[str], records: list[str]) -> str:
    subject = f"{kind} record {wrong[0]!r}" if assertion.operator is not Operator.IS else f"{kind} record"
    why = complaint(subject, assertion.operator, wrong[0], assertion.target)
    if len(records) == 1:
        return why
    return f"{len(wrong)} of {len(records)}: {why}"


def _address(record: str) -> str:
    try:
        return str(ipaddress.ip_address(record.strip()))
    except ValueError:
        return record.strip()


def _joined(record: str) -> str:
    """The character strings of a TXT record, unescaped and joined, as a reader of the record sees them."""
    if '"' not in record and "\\" not in record:
        return record
    strings = (quoted or bare for quoted, bare in _CHARACTER_STRING.findall(record))
    data = b"".join(_ESCAPE.sub(_unescape, string.encode()) for string in strings)
    return data.decode("utf-8", "replace")


def _unescape(found: re.Match[bytes]) -> bytes:
    escaped = found.group(1)
    if len(escaped) == 3:
        return bytes([int(escaped) & 0xFF])
    return escaped

"""DNS records against `recordEvery` and `recordSome`.

Records are compared in one canonical form: names without their last dot and without regard to letter case, addresses by value,
TXT as the data, CAA without regard to the letter case of tag and issuer. An MX target without a preference means the exchange
alone. Only a target is ever unescaped: what a TXT record holds is data already (RFC 1035 §3.3.14).
"""

from __future__ import annotations

import ipaddress
import re

from worker.apitest.assertion import Comparison, Operator, Subject
from worker.apitest.responses.dns import DNSAnswers
from worker.apitest.result import AssertionResult
from worker.checks.describe import result_of, unjudged
from worker.checks.evidence import Evidence
from worker.checks.judgement import JudgementError
from worker.checks.operators import Search, complaint, holds
from worker.checks.values import text_of

_NAMES = ("CNAME", "MX", "NS", "PTR", "SOA", "SRV")
_CHARACTER_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)', re.DOTALL)
_ESCAPE = re.compile(rb"\\(\d{3}|.)", re.DOTALL)
_CAA = re.compile(r"(\d+)\s+([A-Za-z0-9]+)\s+(.*)", re.DOTALL | re.ASCII)
"""Flags, tag and value (RFC 8659 §4.1.1)."""


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
    """The data of a record, as a look-up yields it, in the form in which it is compared and shown."""
    if kind == "CAA":
        return _caa(record)
    if kind in _NAMES:
        return " ".join(word if word == "." else word.removesuffix(".") for word in record.split()).lower()
    if kind in ("A", "AAAA"):
        return _address(record)
    return record


def _holds(assertion: Comparison, kind: str, record: str, search: Search) -> bool:
    target = text_of(assertion.target)
    match assertion.operator:
        case Operator.IS:
            return record in _meanings(kind, target) or (
                kind == "MX" and canonical(kind, target) == record.partition(" ")[2]
            )
        case Operator.CONTAINS if kind == "CAA":
            return any(target.lower() in form.lower() for form in (record, record.replace('"', "")))
        case Operator.CONTAINS if kind in _NAMES:
            return target.lower() in record
        case Operator.CONTAINS:
            return any(meaning in record for meaning in _meanings(kind, target))
        case _:
            return holds(assertion.operator, record, target, search)


def _meanings(kind: str, target: str) -> tuple[str, ...]:
    """The records that an author may have meant by *target*: presentation format (RFC 1035 §5.1), and for TXT without quotation
    marks around it also the data as they stand.
    """
    if kind == "TXT":
        return (_joined(target),) if _is_quoted(target) else (target, _joined(target))
    if kind == "CAA":
        return (canonical(kind, _unquoted_value(target)),)
    return (canonical(kind, target.strip()),)


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


def _caa(record: str) -> str:
    """Tags and the domain names of issuers regardless of letter case (RFC 8659 §4.1, §4.2), the value in quotation marks."""
    found = _CAA.fullmatch(record.strip())
    if found is None:
        return record.strip()
    flags, tag, value = found.groups()
    value = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    if tag.lower() in ("issue", "issuewild"):
        issuer, semicolon, parameters = value.partition(";")
        value = f"{issuer.lower()}{semicolon}{parameters}"
    return f'{flags} {tag.lower()} "{value}"'


def _unquoted_value(target: str) -> str:
    """A CAA target with its value unescaped; quotation marks around it may be left out (RFC 8659 §4.1.1)."""
    found = _CAA.fullmatch(target.strip())
    if found is None:
        return target
    flags, tag, value = found.groups()
    return f'{flags} {tag} "{_joined(value)}"'


def _joined(text: str) -> str:
    """The data that *text* in presentation format stands for: strings in quotation marks joined, or the whole text as one.

    Bytes that are not UTF-8 come out as a look-up yields them.
    """
    strings = [text]
    if _is_quoted(text):
        strings = [quoted or bare for quoted, bare in _CHARACTER_STRING.findall(text)]
    data = b"".join(_ESCAPE.sub(_unescape, string.encode(errors="replace")) for string in strings)
    return data.decode("utf-8", "backslashreplace")


def _is_quoted(text: str) -> bool:
    return text.lstrip().startswith('"')


def _unescape(found: re.Match[bytes]) -> bytes:
    escaped = found.group(1)
    return bytes([int(escaped) & 0xFF]) if len(escaped) == 3 else escaped

"""docs/protocol.md says what the code does: every field, default, code, limit and worked example is compared."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import msgspec
import pytest

from tests.support.checkout import ROOT
from worker.apitest.result import Result, Status
from worker.wire import bounds, envelope, keys, messages, signing, sigv4

PAGE = (ROOT / "docs" / "protocol.md").read_text()
SIGNING = json.loads((ROOT / "tests" / "vectors" / "signing.json").read_text())

STRUCTS = [kind for kind in vars(messages).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]


def section(title: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section {title!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row whose first cell is one code span."""
    lines = [line[1:-1].split("|") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line] for line in lines]


def names(text: str) -> list[str]:
    return [cells[0].strip("`") for cells in rows(text)]


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return ""
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return f"`{msgspec.json.encode(value).decode()}`"


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_every_field_of_a_message_is_described_and_no_other(kind: type[msgspec.Struct]) -> None:
    described = rows(section(f"`{kind.__name__}`"))
    assert [cells[0].strip("`") for cells in described] == list(kind.__struct_fields__)
    for field, cells in zip(msgspec.structs.fields(kind), described, strict=True):
        assert cells[2] == default_of(field), field.name


def test_the_outcome_is_described_as_it_is_written() -> None:
    written: dict[str, Any] = Result(
        test_public_id="", test_name="", test_subtype="", test_version=1, status=Status.PASSED
    ).as_json()
    assert names(section("Outcome")) == list(written)


def test_every_reason_for_refusing_a_signature_is_described() -> None:
    assert names(section("Reasons for refusing a signature")) == [str(reason) for reason in signing.Reason]


def test_the_envelope_is_described_as_it_is_sealed() -> None:
    text = section("Envelope")
    made = keys.generate("x25519")
    token = envelope.seal(b"", made.public, typ=envelope.JOBS, location="pl:a")
    header = json.loads(base64.urlsafe_b64decode(token.split(b".")[0] + b"=="))
    assert {name for name in names(text) if name in header} == set(header)
    for value in (*envelope.ALG.values(), envelope.ENC, envelope.JOBS, envelope.RESULTS):
        assert f"`{value}`" in text
    assert f"{keys.MIN_RSA_BITS:,} to {keys.MAX_RSA_BITS:,} bits" in text
    assert f"{envelope.MAX_HEADER_CHARACTERS:,} characters" in text


def test_the_limits_are_the_codes_own() -> None:
    limits = [int(number) for number in re.findall(r"\| (\d+) \|", section("Limits"))]
    assert limits == [
        messages.MAX_REPLY_BYTES,
        messages.MAX_PUSH_BYTES,
        messages.MAX_PULL_BYTES,
        envelope.MAX_HEADER_CHARACTERS,
    ]
    assert str(bounds.MAX_EXACT) in section("Requests and their signature")
    assert f"{signing.YEARS[0]} to {signing.YEARS[-1]}" in section("Requests and their signature")
    assert str(messages.MAX_LAST) in section("`Refusal`")
    assert f"{bounds.MAX_SKEW.seconds // 60} minutes" in section("Verifying")


def test_the_scheme_is_described_with_its_names() -> None:
    text = section("Requests and their signature")
    for name in (sigv4.PL1.algorithm, sigv4.PL1.key_prefix, sigv4.PL1.date_header, sigv4.PL1.content_header):
        assert f"`{name}`" in text
    described = {name.lower() for name in names(text)}
    assert set(signing.SIGNED_HEADERS) <= described


def test_the_worked_examples_are_vectors() -> None:
    pull = next(case for case in SIGNING["requests"] if case["name"] == "a pull")
    busy = next(case for case in SIGNING["replies"] if case["name"] == "not now")
    for part in ("body", "canonical_request", "string_to_sign", "signing_key_hex", "signature"):
        assert pull[part] in PAGE, part
    for part in ("body", "text", "signature"):
        assert busy[part] in PAGE, part


def test_every_link_into_the_page_leads_somewhere() -> None:
    titles = re.findall(r"^#+ (.*)", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\(#([a-z0-9-]+)\)", PAGE)) <= anchors

"""Files and forms: multipart/form-data as Node writes it and as a mail parser reads it; base64 as Node reads it."""

from __future__ import annotations

import json
import subprocess
from base64 import b64decode, b64encode
from email import message_from_bytes
from email.policy import HTTP
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.definitions import STATUS, api_test
from tests.support.node import NODE, answers_of_node, needs_node
from worker.apitest.definition import APITest
from worker.apitest.parse import parse
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.upload import MOST_FILE_BYTES, MOST_FILES, UploadedFile, multipart
from worker.errors import TestError

PNG = {"name": "image", "originalFileName": "a.png", "type": "image/png", "content": "aGk=", "encoding": "base64"}


def parsed(**request: Any) -> APITest:
    return parse(api_test("http", STATUS, method="POST", **request))


def sent(**request: Any) -> HTTPRequest:
    test = parsed(**request)
    assert test.requires_update == ()
    assert isinstance(test.request, HTTPRequest)
    return test.request


def mistakes(**request: Any) -> str:
    with pytest.raises(TestError) as raised:
        parsed(**request)
    return str(raised.value)


def parts_of(body: bytes, content_type: str) -> list[tuple[str | None, str | None, str, bytes]]:
    """Name, file name, type and content of each part, by the standard library."""
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=HTTP)
    assert message.is_multipart()
    parts = []
    for part in message.iter_parts():
        name, content = part["Content-Disposition"].params.get("name"), part.get_payload(decode=True)
        assert isinstance(content, bytes)
        parts.append((name, part.get_filename(), part.get_content_type(), content))
    return parts


def test_a_form_and_files_are_the_parts_of_one_body() -> None:
    request = sent(
        bodyType="multipart/form-data", form={"who": "me", "n": 5}, files=[PNG, {"name": "b", "content": "ü"}]
    )
    assert request.content_type is not None
    assert parts_of(request.body or b"", request.content_type) == [
        ("who", None, "text/plain", b"me"),
        ("n", None, "text/plain", b"5"),
        ("image", "a.png", "image/png", b"hi"),
        ("b", "b", "application/octet-stream", "ü".encode()),
    ]


NAMES = ["plain", 'quo"ted', "tab\t;=", "ünï", "a\\b"]
WRITTEN_BY_NODE = """
const form = new FormData();
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
for (const name of cases) form.append(name, "v " + name);
for (const name of cases) form.append(name, new Blob(["hi"], {type: "image/png"}), name);
const response = new Response(form);
response.arrayBuffer().then(body => process.stdout.write(JSON.stringify(
    [response.headers.get("content-type"), Buffer.from(body).toString("base64")])));
"""


@needs_node
def test_the_bytes_are_those_of_nodes_form_data() -> None:
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", WRITTEN_BY_NODE], input=json.dumps(NAMES).encode(), capture_output=True, timeout=60, check=True
    )
    content_type, body = json.loads(done.stdout)
    form = [(name, f"v {name}") for name in NAMES]
    files = [UploadedFile(name=name, filename=name, media_type="image/png", content=b"hi") for name in NAMES]
    ours, our_type = multipart(form, files, content_type)
    assert ours.rstrip(b"\r\n") == b64decode(body).rstrip(b"\r\n")
    assert our_type.replace('"', "") == content_type.replace('"', "")


def test_a_name_ends_no_line() -> None:
    body, _ = multipart([('a"\r\nX: y', "v")], [])
    assert b'; name="a%22%0D%0AX: y"\r\n\r\nv\r\n' in body


@given(
    st.lists(st.tuples(st.text("ab", min_size=1), st.text("-a\r\n", max_size=9)), max_size=3),
    st.lists(st.binary(max_size=40), max_size=3),
)
def test_what_is_put_together_can_be_taken_apart(form: list[tuple[str, str]], contents: list[bytes]) -> None:
    files = [UploadedFile(name="f", filename="f", media_type="a/b", content=content) for content in contents]
    body, content_type = multipart(form, files)
    mark = b"--" + content_type.partition("boundary=")[2].encode()
    *blocks, end = (body and b"\r\n" + body).split(b"\r\n" + mark)
    assert (blocks[:1], end) == ([b""], b"--\r\n")
    found = [block.partition(b"\r\n\r\n")[2] for block in blocks[1:]]
    assert found == [*(value.encode() for _, value in form), *contents]


def test_the_same_definition_sends_the_same_bytes() -> None:
    members: dict[str, Any] = {"bodyType": "multipart/form-data", "form": {"a": "b"}, "files": [PNG]}
    assert sent(**members) == sent(**members)


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("multipart/form-data; boundary=mine", "multipart/form-data; boundary=mine"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="my one"', 'multipart/form-data; boundary="my one"'),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        (f"multipart/form-data; boundary={'x' * 71}", None),
        ("multipart/form-data; boundary=value", None),
    ],
)
def test_a_boundary_of_the_authors_is_used_where_it_can_be(written: str, used: str | None) -> None:
    request = sent(bodyType="multipart/form-data", form={"a": "a value"}, headers={"X-A": "b", "content-type": written})
    assert request.headers == (("X-A", "b"),)
    if used is None:
        assert request.content_type is not None
        assert request.content_type.startswith("multipart/form-data; boundary=----synthetics")
    else:
        assert request.content_type == used


def test_another_content_type_of_the_authors_stays() -> None:
    request = sent(bodyType="multipart/form-data", form={"a": "b"}, headers={"Content-Type": "multipart/related"})
    assert request.headers == (("Content-Type", "multipart/related"),)


def test_one_file_is_a_body_of_octets() -> None:
    request = sent(bodyType="application/octet-stream", files=[PNG], body="not this")
    assert (request.body, request.content_type) == (b"hi", "application/octet-stream")


def test_octets_without_a_file_and_a_written_multipart_body_are_the_text() -> None:
    assert sent(bodyType="application/octet-stream", body="x").body == b"x"
    assert sent(bodyType="multipart/form-data", body="--b--").body == b"--b--"


def test_what_the_body_type_has_no_place_for_is_told() -> None:
    test = parsed(bodyType="text/plain", body="x", form={"a": "b"}, files=[PNG])
    words = "not sent: the body type has no place for it"
    assert test.ignored == (f"config.request.form: {words}", f"config.request.files: {words}")


CONTENTS = ["aGk=", "aGk", "a-_/", "file content", "YQ==YQ==", "YWJj Z", "YWJj\nZGVm", "", "=", "é"]


@needs_node
def test_base64_is_read_as_node_reads_it() -> None:
    theirs = answers_of_node('cases.map(text => Buffer.from(text, "base64").toString("hex"))', CONTENTS)
    ours = [sent(bodyType="application/octet-stream", files=[PNG | {"content": content}]).body for content in CONTENTS]
    assert [(body or b"").hex() for body in ours] == theirs


def test_content_that_is_not_base64_is_told() -> None:
    assert parsed(bodyType="application/octet-stream", files=[PNG | {"content": "file content"}]).ignored == (
        "config.request.files[0].content: is not valid base64: what is not a digit of it is left out",
    )


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"files": {}}, "config.request.files: must be a list, not an object"),
        ({"files": [5]}, "config.request.files[0]: must be an object, not a number"),
        ({"files": [{"name": "a"}]}, "config.request.files[0].content: is missing"),
        ({"files": [PNG | {"content": 5}]}, "config.request.files[0].content: must be text, not a number"),
        (
            {"files": [PNG | {"type": "a/b\r\nX: y"}]},
            "config.request.files[0].type: holds a line break or another control character",
        ),
        (
            {"files": [PNG] * (MOST_FILES + 1)},
            f"config.request.files: must hold at most {MOST_FILES} files, not {MOST_FILES + 1}",
        ),
        ({"form": []}, "config.request.form: must be an object, not a list"),
        ({"form": {"a": {}}}, "config.request.form.a: must be text, not an object"),
        (
            {"bodyType": "application/octet-stream", "files": [PNG, PNG]},
            "config.request.files: must hold one file for the body type 'application/octet-stream', not 2",
        ),
        (
            {"files": [PNG | {"content": b64encode(bytes(MOST_FILE_BYTES + 1)).decode()}]},
            "config.request.files[0].content: must hold at most 3,145,728 bytes, not 3,145,729",
        ),
    ],
)
def test_mistakes(members: dict[str, Any], expected: str) -> None:
    assert mistakes(**({"bodyType": "multipart/form-data"} | members)) == expected

"""What is told about the options is what they are: help, schema and reference against the table, the loader and each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.unit.config.mistake_files import MISTAKES, sections
from worker.config.option import Source
from worker.config.options import NAMES, OPTIONS, UNUSED
from worker.config.reference import help_text, schema, table
from worker.wire.keys import generate

KEY = generate("x25519")

SHAPES = {
    "unknown_key",
    "unknown_key_of_no_likeness",
    "unknown_nested_key",
    "file_is_a_list",
    "file_that_names_itself",
    "prefix_without_its_members",
    "number_as_a_string_in_the_file",
    "number_with_a_fraction",
    "number_beyond_every_bound_in_the_file",
    "boolean_as_a_string_in_the_file",
    "string_as_a_number_in_the_file",
    "list_as_a_string_in_the_file",
    "list_of_numbers_in_the_file",
    "liveness_file_as_null",
    "secret_file_as_a_list",
}
"""The mistakes that a schema can see: those about names and JSON types, not about what a text means."""


def generated_file() -> dict[str, Any]:
    return {
        "$schema": "worker-config.schema.json",
        "id": "pl:a-0123",
        "site": "example.com",
        "accessKey": "0123",
        "secretAccessKey": "4567",
        "privateKey": KEY.pem.reveal(),
        "publicKey": {"pem": KEY.public.pem, "fingerprint": KEY.public.kid},
        "datadogApiKey": "89ab",
        "whitelistedRange": {"4": ["10.0.0.0/8"]},
        "allowedIPRanges.6": ["fd00::/8"],
        "maxTimeout": 5e6 // 1000,
    }


@pytest.fixture(scope="module")
def validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads(schema()))


def test_the_schema_is_one_of_draft_2020_12(validator: jsonschema_rs.Draft202012Validator) -> None:
    assert jsonschema_rs.meta.is_valid(json.loads(schema()))
    assert json.loads(schema())["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_a_generated_config_file_is_valid(validator: jsonschema_rs.Draft202012Validator) -> None:
    validator.validate(generated_file())


@pytest.mark.parametrize("path", [path for path in MISTAKES if path.stem in SHAPES], ids=lambda path: path.stem)
def test_the_schema_sees_the_mistakes_of_shape(
    path: Path, tmp_path: Path, validator: jsonschema_rs.Draft202012Validator
) -> None:
    assert not validator.is_valid(json.loads(sections(path, tmp_path)["file"]))


def test_every_mistake_of_shape_has_its_file() -> None:
    assert {path.stem for path in MISTAKES} >= SHAPES


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_schema_allows_each_default_and_holds_each_name(option: Any) -> None:
    properties = json.loads(schema())["properties"]
    for name in (*option.names, *filter(None, (option.file_name,))):
        assert (name in properties) == (Source.FILE in option.sources)
    if Source.FILE in option.sources and option.default is not None:
        default = list(option.default) if isinstance(option.default, tuple) else option.default
        assert jsonschema_rs.is_valid(properties[option.name], default)


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_help_names_every_flag_and_keeps_within_its_width(width: int) -> None:
    text = help_text(width)
    for name in NAMES.values():
        if name.text == name.option.name and Source.FLAG in name.sources:
            assert f"--{name.text}" in text
    for option in OPTIONS:
        for variable in option.environment:
            assert variable in text
    assert max(len(line) for line in text.splitlines()) <= max(80, min(width, 120))


def test_help_shows_each_default_beside_its_option() -> None:
    words = " ".join(help_text(120).split())
    assert "[default: 8.8.8.8, 1.1.1.1; env: DATADOG_TESTS_DNS_SERVER]" in words
    assert "[default: 60000; also: --apiRequestMaxTimeout; env: DATADOG_TESTS_TIMEOUT]" in words


def test_the_reference_names_everything() -> None:
    text = table()
    for name in NAMES:
        assert f"`{name}`" in text
    for unused in UNUSED:
        assert f"`{unused.name}`" in text

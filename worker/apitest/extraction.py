"""Values that a step takes from its response for the steps behind it: where they stand, what finds them. Searches nothing."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

MAX_VALUE_BYTES = 50_000
"""Bytes of one value in UTF-8: what an evaluator may report of one, and ten times the longest token that is in use."""


class ExtractionSource(Enum):
    """The part of a response that a value is taken from; the values are the language's."""

    BODY = "http_body"
    HEADER = "http_header"
    STATUS_CODE = "http_status_code"


class Parser(Enum):
    """The way in which a value is found in its source."""

    RAW = "raw"
    REGEX = "regex"
    JSON_PATH = "json_path"
    XPATH = "x_path"


class Extraction(Struct, frozen=True, kw_only=True):
    """One of `extractedValues`: the value becomes the variable *name*. *field* names the header, *expression* is the parser's.

    It is judged like an assertion, which holds where there is a value: its result's `actual` is the whole of it.
    """

    name: str
    source: ExtractionSource
    parser: Parser = Parser.RAW
    expression: str = ""
    field: str = ""
    secure: bool = False

"""The digests that a script asks for, in rounds: the engine has none of its own, and calls nothing while its time is limited."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

import msgspec

from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_DIGESTED

_HASHES: Final = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
_EACH: Final = 64
"""Bytes that stand for what every question costs, however small."""


class DigestQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """*data*, and for an HMAC the *key*, in hex."""

    hash: str
    key: str | None
    data: str


_questions = msgspec.json.Decoder(dict[str, DigestQuestion])


class Digester:
    """Answers one script's questions. Raises JudgementError beyond `MAX_DIGESTED`, or for what web.js does not ask."""

    def __init__(self) -> None:
        self._left = MAX_DIGESTED

    def answers(self, wanted: str) -> str | None:
        """The answers to *wanted*, a JSON object of questions, as a list; None where nothing is wanted."""
        try:
            questions = _questions.decode(wanted).values()
            self._left -= sum(len(each.data) // 2 + _EACH for each in questions)
            if self._left < 0:
                raise JudgementError(f"the script has more than {MAX_DIGESTED} bytes digested")
            return msgspec.json.encode(list(map(_digest, questions))).decode() if questions else None
        except (msgspec.DecodeError, TypeError, KeyError, ValueError) as error:
            raise JudgementError("the script has left its engine unable to ask for digests") from error


def _digest(question: DigestQuestion) -> str:
    name, data = _HASHES[question.hash], bytes.fromhex(question.data)
    if question.key is None:
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()
    return hmac.digest(bytes.fromhex(question.key), data, name).hex()

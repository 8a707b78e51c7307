"""The error of an assertion that could be judged neither way. Its result says why; nothing outside `checks` sees the error."""

from __future__ import annotations

from worker.errors import SyntheticsError
from worker.outcome.failure import FailureCode


class JudgementError(SyntheticsError):
    """*reason* is a sentence for people. *code* names the limit that was hit where the list of codes has one for it."""

    def __init__(self, reason: str, code: FailureCode | None = None) -> None:
        self.reason = reason
        self.code = code
        super().__init__(reason)

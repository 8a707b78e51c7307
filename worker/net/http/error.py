"""The error that ends a request inside the HTTP client, which makes a value of it."""

from __future__ import annotations

from worker.errors import SyntheticsError
from worker.outcome.failure import Failure, FailureCode


class HTTPError(SyntheticsError):
    """No response, for the reason in *failure*."""

    def __init__(self, code: FailureCode, message: str) -> None:
        self.failure = Failure(code, message)
        super().__init__(message)

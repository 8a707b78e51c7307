"""How the inside of the HTTP prober gives up: an error that holds the failure, caught at the prober's edge."""

from __future__ import annotations

from worker.outcome.failure import Failure, FailureCode


class HTTPError(Exception):
    """The run ends here. *failure* is what the observation will carry."""

    def __init__(self, code: FailureCode, message: str) -> None:
        self.failure = Failure(code, message)
        super().__init__(message)

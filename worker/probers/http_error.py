"""How the inside of a prober gives up: an exception that holds the failure, caught at the prober's edge and never seen outside."""

from __future__ import annotations

from worker.apitest.failure import Failure, FailureCode


class Failed(Exception):
    """The run ends here. `failure` is what the observation will carry."""

    def __init__(self, code: FailureCode, message: str) -> None:
        self.failure = Failure(code, message)
        super().__init__(message)

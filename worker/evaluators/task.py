"""One call of `Evaluators.evaluate` on its way through the pool: the results so far, and the assertions still to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from worker.apitest.assertion import Assertion
from worker.apitest.observation import Observation
from worker.apitest.result import AssertionResult, BodyPreview
from worker.checks.describe import unjudged
from worker.errors import EvaluationError
from worker.evaluators import protocol
from worker.evaluators.exit_cause import Cause
from worker.evaluators.protocol import EvaluatorReply
from worker.outcome.failure import FailureCode

LONG_WAIT_SECONDS: Final = 1.0
"""Waiting for an evaluator beyond which the run says that the worker was short of them."""


class Evaluation(Struct, frozen=True, kw_only=True):
    """One result per assertion, in order. *waited_ns* was spent in the queue and counts to no limit.

    *starved*: an assertion was stopped by the wall clock though it had not used its CPU: this machine was too busy.
    *preview* is None where none was asked for, and where none could be made.
    """

    results: tuple[AssertionResult, ...]
    preview: BodyPreview | None = None
    waited_ns: int = 0
    starved: bool = False

    def shortage(self) -> str | None:
        """The worker's want of evaluators or processor time, in words; None where there was none to speak of."""
        if self.waited_ns > LONG_WAIT_SECONDS * 1e9:
            return f"the worker waited {self.waited_ns / 1e9:.1f} s for a free evaluator"
        return "the worker's evaluators were short of processor time" if self.starved else None


class Task:
    """Assertions to be judged on one observation, in one evaluator or in several one after another.

    *left_s* is what remains of its time in evaluators; *since_ns* when it last entered the queue or an evaluator; *retried*: an
    evaluator was killed from outside, and the assertion in hand was given another try.
    """

    def __init__(
        self,
        key: str,
        assertions: Sequence[Assertion],
        observation: Observation,
        left_s: float,
        now_ns: int,
        *,
        with_preview: bool = False,
    ) -> None:
        self.key = key
        self.left_s = left_s
        self.since_ns = now_ns
        self.waited_ns = 0
        self.starved = False
        self.retried = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._assertions = assertions
        self._observation, self._body = protocol.encode_observation(observation)
        self._tagged = tuple(map(protocol.encode_assertion, assertions))
        self._results: list[AssertionResult | None] = [None] * len(assertions)
        self._with_preview = with_preview
        self._preview: BodyPreview | None = None
        # Of the work in hand: indices of the assertions that were sent, in order, and how many of them have a result.
        self._sent: list[int] = []
        self._answered = 0

    @property
    def outstanding(self) -> int:
        """Number of assertions of the work in hand that have no result yet."""
        return len(self._sent) - self._answered

    def messages(self) -> tuple[bytes, bytes]:
        """Everything that has no result yet, for an evaluator. It becomes the work in hand."""
        self._sent = [index for index, result in enumerate(self._results) if result is None]
        self._answered = 0
        tagged = [self._tagged[index] for index in self._sent]
        return protocol.encode_task(tagged, self._observation, preview=self._with_preview), self._body

    def accept(self, reply: EvaluatorReply) -> bool:
        """Take the next results of the work in hand; False, and nothing is taken, if they are more than were asked for."""
        if len(reply.results) > self.outstanding or (reply.preview and not self._with_preview):
            return False
        for result in reply.results:
            self._results[self._sent[self._answered]] = result
            self._answered += 1
        if reply.preview is not None:
            self._preview = BodyPreview(text=reply.preview.text, is_cut=reply.preview.is_cut)
        return True

    def fail_at(self, position: int, cause: Cause) -> None:
        """End the work in hand, its evaluator being dead: the assertion at *position* of it gets *cause* for a result.

        What was judged before it and not yet reported stays open, as does everything behind it. A position that cannot be
        (the evaluator's memory is not to be trusted) falls on the first open assertion, so that each death brings the end nearer.
        The position behind the last assertion is that of the preview, which is given up.
        """
        self.starved = self.starved or cause.starved
        if self._with_preview and position == len(self._sent):
            self._with_preview = False
            return
        if not self._answered <= position < len(self._sent):
            position = self._answered
        index = self._sent[position]
        self._results[index] = unjudged(self._assertions[index], cause.reason, cause.code)

    def expire(self) -> None:
        """End it because its time is up: every open assertion gets that for a result."""
        for index, assertion in enumerate(self._assertions):
            if self._results[index] is None:
                self._results[index] = unjudged(
                    assertion, "the test's time was up before it was judged", FailureCode.TIMEOUT
                )

    def abort(self, error: EvaluationError) -> None:
        """End it without an evaluation."""
        if not self.done.done():
            self.done.set_exception(error)

    @property
    def finished(self) -> bool:
        return None not in self._results

    def evaluation(self) -> Evaluation:
        return Evaluation(
            results=tuple(result for result in self._results if result is not None),
            preview=self._preview,
            waited_ns=self.waited_ns,
            starved=self.starved,
        )

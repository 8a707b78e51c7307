from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.apitest.assertion import Assertion, Comparison, Operator, Subject
from worker.apitest.observation import Observation
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.result import AssertionResult, BodyPreview
from worker.evaluators import protocol
from worker.evaluators.exit_cause import STARVED, Cause
from worker.evaluators.protocol import EvaluatorReply
from worker.evaluators.task import Task
from worker.outcome.failure import FailureCode
from worker.outcome.phases import Timings

CRASH = Cause(reason="it crashed")


def assertions(count: int) -> tuple[Comparison, ...]:
    return tuple(Comparison(subject=Subject.BODY, operator=Operator.IS, target=str(n)) for n in range(count))


def task_of(count: int, *, with_preview: bool = False) -> Task:
    response = HTTPResponse(url="http://a/", status=200, http_version="1.1", headers=(), body=b"body")
    return Task(
        "key", assertions(count), Observation(timings=Timings(), response=response), 1.0, 0, with_preview=with_preview
    )


def sent(task: Task) -> tuple[Assertion, ...]:
    return protocol.decode_task(*task.messages())[0]


def judged(assertion: Assertion) -> AssertionResult:
    assert isinstance(assertion, Comparison)
    return AssertionResult(type="body", operator="is", expected=str(assertion.target), actual=None, valid=True)


def reply(results: list[AssertionResult], preview: str | None = None) -> EvaluatorReply:
    made = None if preview is None else protocol.Preview(text=preview, is_cut=True)
    return EvaluatorReply(results=tuple(results), state="more", preview=made)


async def test_replies_in_parts_end_up_in_order() -> None:
    task = task_of(3)
    first, second, third = map(judged, sent(task))
    assert task.accept(reply([first]))
    assert (task.outstanding, task.finished) == (2, False)
    assert task.accept(reply([second, third]))
    assert (task.outstanding, task.finished) == (0, True)
    assert task.evaluation().results == (first, second, third)


async def test_more_results_than_were_asked_for_are_not_taken() -> None:
    task = task_of(2)
    results = [judged(assertion) for assertion in sent(task)]
    assert task.accept(reply(results[:1]))
    assert not task.accept(reply(results))
    assert task.outstanding == 1


async def test_a_death_costs_the_assertion_in_hand_and_what_was_not_reported_is_done_again() -> None:
    task = task_of(5)
    results = [judged(assertion) for assertion in sent(task)]
    task.accept(reply(results[:1]))
    task.fail_at(3, CRASH)
    again = sent(task)
    assert again == (assertions(5)[1], assertions(5)[2], assertions(5)[4])
    assert task.accept(reply([judged(assertion) for assertion in again]))
    assert [result.valid for result in task.evaluation().results] == [True, True, True, False, True]
    assert task.evaluation().results[3].error_message == "it crashed"
    assert not task.evaluation().starved


async def test_a_starved_assertion_marks_the_whole_evaluation() -> None:
    task = task_of(1)
    sent(task)
    task.fail_at(0, STARVED)
    assert task.evaluation().starved


async def test_time_that_is_up_takes_only_what_has_no_result() -> None:
    task = task_of(3)
    task.accept(reply([judged(assertion) for assertion in sent(task)[:1]]))
    task.expire()
    assert task.finished
    assert [result.code for result in task.evaluation().results] == [None, FailureCode.TIMEOUT, FailureCode.TIMEOUT]


@given(st.integers(1, 8), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2**32 - 1)), max_size=20))
async def test_whatever_an_evaluator_reports_before_it_dies_each_death_brings_the_end_nearer(
    count: int, deaths: list[tuple[int, int]]
) -> None:
    """Reported results and the position at death are as the evaluator likes: the position is a number in shared memory."""
    task = task_of(count)
    for reported, position in deaths:
        open_before = sent(task)
        if not open_before:
            break
        task.accept(reply([judged(assertion) for assertion in open_before[:reported]]))
        if task.finished:
            break
        task.fail_at(position, CRASH)
        assert len(sent(task)) < len(open_before)
    task.accept(reply([judged(assertion) for assertion in sent(task)]))
    assert task.finished
    assert [result.expected for result in task.evaluation().results] == [str(number) for number in range(count)]


async def test_a_preview_comes_with_the_last_results() -> None:
    task = task_of(1, with_preview=True)
    assert protocol.decode_task(*task.messages())[2]
    assert task.accept(reply([judged(assertion) for assertion in sent(task)], "beginning"))
    assert task.evaluation().preview == BodyPreview(text="beginning", is_cut=True)


async def test_a_preview_that_nobody_asked_for_is_not_taken() -> None:
    task = task_of(1)
    results = [judged(assertion) for assertion in sent(task)]
    assert not task.accept(reply(results, "beginning"))
    assert not task.finished


async def test_a_death_over_the_preview_gives_it_up_and_costs_no_assertion() -> None:
    task = task_of(2, with_preview=True)
    sent(task)
    task.fail_at(2, CRASH)
    assert (len(sent(task)), protocol.decode_task(*task.messages())[2]) == (2, False)
    task.fail_at(2, CRASH)
    assert len(sent(task)) == 1, "a position that cannot be brings the end nearer"

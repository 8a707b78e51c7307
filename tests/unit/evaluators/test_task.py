from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.apitest.assertion import Assertion, Comparison, Operator, Subject
from worker.apitest.observation import HTTPResponse, Observation
from worker.apitest.result import AssertionResult
from worker.evaluators import protocol
from worker.evaluators.exit_cause import STARVED, Cause
from worker.evaluators.task import Errand
from worker.outcome.failure import FailureCode
from worker.outcome.phases import Timings

CRASH = Cause(reason="it crashed")


def assertions(count: int) -> tuple[Comparison, ...]:
    return tuple(Comparison(subject=Subject.BODY, operator=Operator.IS, target=str(n)) for n in range(count))


def errand_of(count: int) -> Errand:
    response = HTTPResponse(url="http://a/", status=200, http_version="1.1", headers=(), body=b"body")
    return Errand("key", assertions(count), Observation(timings=Timings(), response=response), 1.0, 0)


def sent(errand: Errand) -> tuple[Assertion, ...]:
    head, body = errand.task()
    return protocol.decode_task(head[protocol.TASK_HEADER.size :], body)[0]


def judged(assertion: Assertion) -> AssertionResult:
    assert isinstance(assertion, Comparison)
    return AssertionResult(type="body", operator="is", expected=str(assertion.target), actual=None, valid=True)


async def test_replies_in_parts_end_up_in_order() -> None:
    errand = errand_of(3)
    first, second, third = map(judged, sent(errand))
    assert errand.accept([first])
    assert (errand.outstanding, errand.finished) == (2, False)
    assert errand.accept([second, third])
    assert (errand.outstanding, errand.finished) == (0, True)
    assert errand.evaluation().results == (first, second, third)


async def test_more_results_than_were_asked_for_are_not_taken() -> None:
    errand = errand_of(2)
    results = [judged(assertion) for assertion in sent(errand)]
    assert errand.accept(results[:1])
    assert not errand.accept(results)
    assert errand.outstanding == 1


async def test_a_death_costs_the_assertion_in_hand_and_what_was_not_reported_is_done_again() -> None:
    errand = errand_of(5)
    results = [judged(assertion) for assertion in sent(errand)]
    errand.accept(results[:1])
    errand.blame(3, CRASH)
    again = sent(errand)
    assert again == (assertions(5)[1], assertions(5)[2], assertions(5)[4])
    assert errand.accept([judged(assertion) for assertion in again])
    assert [result.valid for result in errand.evaluation().results] == [True, True, True, False, True]
    assert errand.evaluation().results[3].error_message == "it crashed"
    assert not errand.evaluation().starved


async def test_a_starved_assertion_marks_the_whole_evaluation() -> None:
    errand = errand_of(1)
    sent(errand)
    errand.blame(0, STARVED)
    assert errand.evaluation().starved


async def test_time_that_is_up_takes_only_what_has_no_result() -> None:
    errand = errand_of(3)
    errand.accept([judged(assertion) for assertion in sent(errand)[:1]])
    errand.expire()
    assert errand.finished
    assert [result.code for result in errand.evaluation().results] == [None, FailureCode.TIMEOUT, FailureCode.TIMEOUT]


@given(st.integers(1, 8), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2**32 - 1)), max_size=20))
async def test_whatever_an_evaluator_reports_before_it_dies_each_death_brings_the_end_nearer(
    count: int, deaths: list[tuple[int, int]]
) -> None:
    """Reported results and the position at death are as the evaluator likes: the position is a number in shared memory."""
    errand = errand_of(count)
    for reported, position in deaths:
        open_before = sent(errand)
        if not open_before:
            break
        errand.accept([judged(assertion) for assertion in open_before[:reported]])
        if errand.finished:
            break
        errand.blame(position, CRASH)
        assert len(sent(errand)) < len(open_before)
    errand.accept([judged(assertion) for assertion in sent(errand)])
    assert errand.finished
    assert [result.expected for result in errand.evaluation().results] == [str(number) for number in range(count)]

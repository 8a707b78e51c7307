"""The program of an evaluator process: the loop, with `checks` behind it. The worker runs it and does not import it."""

from __future__ import annotations

import sys
from functools import partial

from worker.apitest.observation import Observation
from worker.checks.evaluate import evaluate
from worker.checks.evidence import AssertionLimits, Evidence
from worker.checks.javascript.engine import CONTEXTS
from worker.checks.preview import preview_of
from worker.checks.warmup import warm_up
from worker.evaluators.loop import Judge, main


def prepare(observation: Observation, limits: AssertionLimits) -> Judge:
    """Share what is decoded and parsed for one assertion with the task's other assertions."""
    return partial(evaluate, evidence=Evidence(observation, limits))


if __name__ == "__main__":
    main(sys.argv, prepare, preview_of, warm_up, CONTEXTS.prepare)
